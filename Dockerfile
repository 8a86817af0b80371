# docker build -t fashion_xai . && docker run --rm -p 7860:7860 fashion_xai
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY fashion_xai fashion_xai
RUN pip install --no-cache-dir ".[demo]"
COPY demo demo
RUN useradd --create-home visitor
USER visitor
ENV GRADIO_SERVER_NAME=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/health', timeout=5)"]
CMD ["python", "demo/app.py", "--max-memory", "4"]
