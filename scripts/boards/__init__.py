"""How do the boards of the workbook and of Grafana come from one table of panels? `python -m scripts.boards`."""
