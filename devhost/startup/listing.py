"""What does the host print of the app's functions when it starts?"""

from devhost.app.catalog import Catalog
from devhost.http.server import Route


def listing(routes: list[Route], catalog: Catalog, origin: str) -> str:
    """HTTP functions with methods and address, the others with the type of their trigger."""
    lines = ["", "Functions:", ""]
    http = {route.function.name: route for route in routes}
    for function in catalog.functions.values():
        route = http.get(function.name)
        if route is None:
            lines.append(f"        {function.name}: {function.type}")
        else:
            methods = ",".join(sorted(route.methods)) or "*"
            lines.append(f"        {function.name}: [{methods}] {origin}/{route.template.text}")
        lines.append("")
    return "\n".join(lines)
