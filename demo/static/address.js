// What the audit tab shows is in the page's address: ?audit=HEAD&true=…&predicted=…&list=…&id=…
(() => {
  const NAMES = ["audit", "true", "predicted", "list", "id"];
  window.fashion.tell = (head, shown) => {
    const address = new URL(location.href), [one, other] = shown?.pair ?? [];
    const open = one !== undefined || Boolean(shown?.list) || Boolean(shown?.id);
    const values = open ? [head, one, other, shown.list, shown.id] : [];
    NAMES.forEach((name, n) => {
      if (values[n]) address.searchParams.set(name, values[n]);
      else address.searchParams.delete(name);
    });
    history.replaceState(history.state, "", address);
  };
  window.fashion.asked = () => {
    const given = new URLSearchParams(location.search);
    if (!given.has("audit")) return null;
    const tab = [...document.querySelectorAll("button[role=tab]")].find((t) => t.textContent.trim() === "Audit");
    tab?.click();
    return Object.fromEntries(NAMES.map((name) => [name, given.get(name)]));
  };
})();
