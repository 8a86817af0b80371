"""How long the fuzz job tries: ``FUZZ_EXAMPLES`` a target."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                           HealthCheck.large_base_example, HealthCheck.data_too_large],
)  # fmt: skip
settings.load_profile("fuzz")
