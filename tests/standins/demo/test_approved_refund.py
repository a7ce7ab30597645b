"""Which refunds may the demo ask for?"""

from pathlib import Path

from domain.config.tools_toml import tools_from_toml
from standins.demo.approved_refund import tools_in


def test_the_refund_of_the_demo_takes_an_order_of_the_shop_alone(tmp_path: Path) -> None:
    text = Path(tools_in(tmp_path)["GANGLION_TOOLS"]).read_text(encoding="utf-8")
    shop = tools_from_toml(text, {"GANGLION_SHOP_URL": "http://127.0.0.1:1"}, on_azure=False).known["shop"]
    refund, find = (shop.tools[name].input_schema["properties"]["number"] for name in ("refund_order", "find_order"))
    assert refund["enum"] == ["A-1001", "A-1002"]
    assert "enum" not in find
