"""A step as a list of kernels that are called one after the other: the bits of an eager one, in less time.

With small models most of a step is what leads to its kernels: autograd writes each of them down and finds
it again, weights are made out of their buffer as views, and the right overload is searched. So a step
that is taken often is traced: it is taken once more, and every kernel that it calls is written down. What
depends on nothing but where the weights lie is done once for a pack, and the rest without autograd.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg
from torch.nn import Module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary
from typing_extensions import override

LossAndGradient = tuple[Float[Tensor, " trial"], Float[Tensor, "trial row"]]

Step = Callable[..., LossAndGradient]
"""Of the weights of all trials, then of the tensors of a batch."""

_aten = torch.ops.aten
_FOR_AUTOGRAD = {_aten.detach.default, _aten.alias.default}
_LOOKS = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.data_ptr}


class NotOneListError(Exception):
    """Other numbers might ask for other kernels, or what is done once would be changed later."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A step for tensors of one shape, in two parts: what is done once for a pack, and all else."""

    views: Callable[[Tensor], tuple[Tensor, ...]]  # of the weights, which are changed in place
    run: Callable[..., LossAndGradient]  # of these views, then of the examples

    def __call__(self, views: Iterable[Tensor], examples: Iterable[Tensor]) -> LossAndGradient:
        """The loss of each trial and the gradient of its own loss alone."""
        with torch.no_grad():
            return self.run(*views, *map(Tensor.contiguous, examples))


def traced(
    step: Step, flat: Float[Tensor, "trial row"], examples: Sequence[Tensor]
) -> Traced | None:
    """The step for tensors of these shapes; None where it is not one list of kernels for all numbers.

    It takes as long as some 100 steps save. What was made is compared with the step itself on other
    numbers, and counts only if all bits are the same.
    """
    given = [each.contiguous() for each in examples]
    try:
        made = _written_down(step, flat, given)
        others = [each.flip(1) for each in given]
        found, wanted = made(made.views(flat), others), step(flat, *others)
    except NotOneListError:
        return None
    return made if all(map(_same_bits, found, wanted)) else None


def _written_down(step: Step, flat: Tensor, examples: Sequence[Tensor]) -> Traced:
    graph, tables = Graph(), Module()
    writer = _Writer(graph, tables)
    inputs = [
        writer.note(each, graph.placeholder(f"given{place}"))
        for place, each in enumerate((flat, *examples))
    ]
    with _Looks(), writer:
        outputs = step(flat, *examples)
    graph.output(tuple(writer.node_of(each) for each in outputs))
    graph.eliminate_dead_code()
    return _halves(graph, tables, *inputs)


class _Looks(TorchFunctionMode):
    """Refuses to hand numbers to Python in ways that no kernel is called for."""

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _LOOKS:
            raise NotOneListError
        return func(*args, **(kwargs or {}))


class _Writer(TorchDispatchMode):
    """Writes down every kernel that is called, below autograd."""

    @classmethod
    @override
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads its compiler first, for 1.3 s and 77 MB

    def __init__(self, graph: Graph, tables: Module) -> None:
        super().__init__()
        self.graph, self.tables = graph, tables
        self.nodes = WeakTensorKeyDictionary()  # so that no more memory is taken than by the step

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _is_decided(func, args):
            raise NotOneListError
        made = func(*args, **kwargs)
        if func in _FOR_AUTOGRAD:
            self.note(made, self.node_of(args[0]))
            return made
        named, more = tree_map_only(Tensor, self.node_of, (args, kwargs))
        node = self.graph.call_function(func, named, more)
        if isinstance(made, Tensor):
            self.note(made, node)
        elif isinstance(made, tuple | list):
            for place, each in enumerate(made):
                if isinstance(each, Tensor):  # there may be none, and then nobody asks for it
                    self.note(each, self.graph.call_function(operator.getitem, (node, place)))
        else:
            raise NotOneListError
        return made

    def note(self, tensor: Tensor, node: Node) -> Node:
        """This is the tensor that the node makes."""
        self.nodes[tensor] = node
        return node

    def node_of(self, tensor: Tensor) -> Node:
        """What made this tensor; one that was there before is kept as a table."""
        if tensor not in self.nodes:
            name = f"table{len(self.graph.nodes)}"
            self.tables.register_buffer(name, tensor)
            self.note(tensor, self.graph.get_attr(name))
        return self.nodes[tensor]


_UNDECIDED = {
    torch.Tag.nondeterministic_seeded,
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
}


def _is_decided(kernel: OpOverload, args: Sequence[Any]) -> bool:
    """Whether what it makes, and of what shape, follows from what it is given, whatever the numbers are."""
    if kernel is _aten.index.Tensor:  # of unknown shape where it picks by truth and not by number
        return all(each is None or each.dtype == torch.int64 for each in args[1])
    return _UNDECIDED.isdisjoint(kernel.tags)


def _halves(graph: Graph, tables: Module, flat: Node, *examples: Node) -> Traced:
    """Apart: what is a view of the weights or depends on nothing, and what is done at every step."""
    once, always = list[Node](), list[Node]()
    known = {flat}
    changed = {each for node in graph.nodes for each in _changed(node)}
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        # where something is changed in place, what it began as has to be made anew each time
        if known.issuperset(node.all_input_nodes) and _is_fixed(node, alone=not changed):
            once.append(node)
            known.add(node)
        else:
            always.append(node)
    if not known.isdisjoint(changed):
        raise NotOneListError
    handed = [node for node in (flat, *once) if not known.issuperset(node.users)]
    outputs = graph.output_node().args[0]
    return Traced(
        _program(tables, [flat], once, tuple(handed)),
        _program(tables, [*handed, *examples], always, outputs),
    )


def _is_fixed(node: Node, *, alone: bool) -> bool:
    """Whether what it makes of fixed tensors is fixed, and takes no room of its own to speak of."""
    if isinstance(node.target, OpOverload):
        return node.target.is_view or (alone and not node.all_input_nodes)
    return node.op == "get_attr" or node.target is operator.getitem


def _changed(node: Node) -> list[Node]:
    """The tensors that it changes in place."""
    if not isinstance(node.target, OpOverload):
        return []
    given = zip(node.target._schema.arguments, node.args, strict=False)
    some = [
        each for argument, each in given if argument.alias_info and argument.alias_info.is_write
    ]
    some += [each for each in node.kwargs.values() if node.target._schema.is_mutable]
    return [each for each in some if isinstance(each, Node)]


def _program(
    tables: Module, inputs: Iterable[Node], nodes: Iterable[Node], outputs: Any
) -> Callable[..., Any]:
    """Python code that does what these nodes say."""
    graph = Graph()
    copies = {node: graph.placeholder(node.name) for node in inputs}
    for node in nodes:
        copies[node] = _called(graph, node, copies)
    graph.output(map_arg(outputs, copies.__getitem__))
    return GraphModule(tables, graph).forward


def _called(graph: Graph, node: Node, copies: Mapping[Node, Node]) -> Node:
    """The same kernel by the function or method that users call, which is found faster."""
    kernel = node.target
    if not isinstance(kernel, OpOverload):
        return graph.node_copy(node, copies.__getitem__)
    args, kwargs = map_arg((node.args, node.kwargs), copies.__getitem__)
    # without autograd there is no difference between the two
    name = "view" if kernel is _aten._unsafe_view.default else kernel._schema.name.split("::")[1]
    if isinstance(function := getattr(torch, name, None), BuiltinFunctionType):
        return graph.call_function(function, args, kwargs)
    if isinstance(getattr(Tensor, name, None), MethodDescriptorType):
        return graph.call_method(name, args, kwargs)
    return graph.call_function(kernel, args, kwargs)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """As integers, so that a NaN is equal to itself."""
    return torch.equal(one.view(torch.int32), other.view(torch.int32))
