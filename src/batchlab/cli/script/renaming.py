"""Syntax trees with names or nodes replaced."""

import ast
from typing import Any

from batchlab.cli.script.names import bound_names, parameters


class Replaced(ast.NodeTransformer):
    """One node replaced by another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        """Replace the node."""
        return self.new if node is self.old else super().generic_visit(node)


class Renamed(ast.NodeTransformer):
    """Names replaced by others, except where an inner function has a name of its own like it."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename here."""
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Rename here."""
        node.name = self.names.get(node.name, node.name)
        own = parameters(node.args) | bound_names(node.body)
        inner = Renamed({old: new for old, new in self.names.items() if old not in own})
        node.args = self.visit(node.args)
        node.body = [inner.visit(part) for part in node.body]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """Rename here."""
        node.name = self.names.get(node.name, node.name)
        self.generic_visit(node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        """Rename here."""
        own = parameters(node.args)
        inner = Renamed({old: new for old, new in self.names.items() if old not in own})
        node.body = inner.visit(node.body)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        """Rename here."""
        node.name = self.names.get(node.name, node.name) if node.name else None
        self.generic_visit(node)
        return node
