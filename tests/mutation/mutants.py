"""Which small defects of logic can a module have? One changed operator, number, condition or function each."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import override

from tests.mutation.tracing import lines_of

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
NO_LOGIC = ("annotation", "returns", "decorator_list", "type_params", "format_spec")
OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """The source of a module with one defect; `what` names it by its line.

    `lines` are those of its statement, in the file: None if they run at import.
    """

    module: str
    what: str
    source: str
    lines: range | None = None


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """The defects of one node."""
    yield from changed_operators(node)
    yield from changed_values(node)
    yield from negated_conditions(node)


def changed_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator], left=left, comparators=right) if type(operator) in COMPARISONS:
            yield ast.Compare(left=left, ops=[COMPARISONS[type(operator)]()], comparators=right)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(op=ast.Or() if isinstance(operator, ast.And) else ast.And(), values=values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC and not is_text(node):
            yield ast.BinOp(left=left, op=ARITHMETIC[type(operator)](), right=right)
        case _:
            pass


def changed_values(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value=value + 1)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords) if name in OTHER_FUNCTION:
            yield ast.Call(func=ast.Name(id=OTHER_FUNCTION[name]), args=arguments, keywords=keywords)
        case _:
            pass


def negated_conditions(node: ast.AST) -> Iterator[ast.AST]:
    """Conditions with an operator of their own have their own defects."""
    match node:
        case ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call() as test, body=body, orelse=orelse):
            yield ast.IfExp(test=ast.UnaryOp(op=ast.Not(), operand=test), body=body, orelse=orelse)
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call() as test, body=statements, orelse=others):
            yield ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test), body=statements, orelse=others)
        case _:
            pass


def is_guard(node: ast.AST) -> bool:
    """The `strict` of a zip of equal lengths decides nothing: it would only find a defect of another line."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)


def nodes_in(value: ast.AST | list[ast.AST] | None) -> list[ast.AST]:
    return value if isinstance(value, list) else [value] if value else []


class Logic(ast.NodeVisitor):
    """Collects the nodes of logic: no annotations, no decorators, no texts that people read, no guards."""

    def __init__(self) -> None:
        self.found: list[ast.AST] = []

    @override
    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr) or is_guard(node):
            return
        self.found.append(node)
        skipped = {id(child) for name in NO_LOGIC for child in nodes_in(getattr(node, name, None))}
        for child in ast.iter_child_nodes(node):
            if id(child) not in skipped:
                self.visit(child)


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    tree = ast.parse(source)
    logic = Logic()
    logic.visit(tree)
    for number, node in enumerate(logic.found):
        for nth, _ in enumerate(changed(node)):
            yield mutant(module, tree, node, number, nth)


def mutant(module: str, tree: ast.Module, place: ast.AST, number: int, nth: int) -> Mutant:
    """Change a copy of the tree at its `number`-th node of logic."""
    whole = copy.deepcopy(tree)
    logic = Logic()
    logic.visit(whole)
    old = logic.found[number]
    new = list(changed(old))[nth]
    before = ast.unparse(old).partition("\n")[0]
    after = ast.unparse(ast.fix_missing_locations(ast.copy_location(new, old))).partition("\n")[0]
    Replacing(old, new).visit(whole)
    return Mutant(
        module=module,
        what=f"{module}:{getattr(old, 'lineno', 0)}: {before} → {after}",
        source=ast.unparse(ast.fix_missing_locations(whole)),
        lines=lines_of(tree, place),
    )


class Replacing(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    @override
    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)
