"""Which list of functions does the host print at startup?"""

from devhost.app.catalog import FunctionCatalog
from devhost.http.server import FunctionRoute


def function_list(routes: list[FunctionRoute], catalog: FunctionCatalog, origin: str) -> str:
    """Lists HTTP functions with their methods and URL, and other functions with their trigger type."""
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
