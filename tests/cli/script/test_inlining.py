import ast

from batchlab.cli.script.inlining import is_optimizer, lay_out


def laid_out(text):
    return lay_out(ast.parse(text))


def text_of(nodes):
    return "\n".join(map(ast.unparse, map(ast.fix_missing_locations, nodes)))


SCRIPT = """
seen = []
scale = 3

class Thing:
    def __init__(self, value):
        self.value = value
    def backward(self):
        seen.append(self.value)
    def eval(self):
        return self

def pair(first, second=10):
    thing = Thing(first)
    thing.backward()
    return first + second, thing

def train(things, steps, *, offset):
    scale = 2
    total = 0
    for step in range(steps):
        for thing in things:
            thing.backward()
            total += scale * thing.value
    return total + offset

def main(steps=2):
    total = 100
    things = [Thing(1), Thing(2)]
    result = train(things, steps, offset=5)
    both, last = pair(7)
    return total + result + both

if __name__ == "__main__":
    answer = main()
"""


def test_a_script_laid_out_does_what_the_script_does():
    nodes = [ast.fix_missing_locations(node) for node in laid_out(SCRIPT)]
    opened, whole = {}, {"__name__": "__main__"}
    exec(compile(ast.Module(nodes, []), "flow", "exec"), opened)
    exec(SCRIPT, whole)
    assert (opened["answer"], opened["seen"], opened["scale"]) == (whole["answer"], whole["seen"], 3)


def test_nothing_is_left_to_call():
    flow = laid_out(SCRIPT)
    rest = text_of(node for node in flow if not isinstance(node, ast.FunctionDef | ast.ClassDef))
    assert not any(call in rest for call in ("main(", "train(", "pair("))


def test_a_local_whose_name_is_taken_gets_another():
    assert "scale_2 = 2" in text_of(laid_out(SCRIPT))


def test_a_parameter_takes_the_name_it_was_given():
    text = text_of(
        laid_out("def run(net):\n    for x in data:\n        net(x).backward()\nmodel = make()\nrun(model)\n")
    )
    assert text.endswith("for x in data:\n    model(x).backward()")


def test_functions_that_neither_train_nor_set_up_stay_closed():
    text = "def build():\n    return 1\ndef main():\n    model = build()\n    model.backward()\nmain()\n"
    assert "model = build()" in text_of(laid_out(text))


def test_a_function_that_nothing_calls_is_opened_where_it_trains():
    text = "@app.command()\ndef main(lr=0.1):\n    for x in data:\n        loss(x).backward()\napp()\n"
    assert text_of(laid_out(text)).endswith("app()\nlr = 0.1\nfor x in data:\n    loss(x).backward()")


def test_a_function_that_calls_itself_is_opened_once():
    text = "def main():\n    for x in data:\n        x.backward()\n    main()\nmain()\n"
    assert text_of(laid_out(text)).count("x.backward()") == 2


def test_a_method_called_like_a_function_does_not_open_it():
    text = "def train():\n    for x in data:\n        x.backward()\nmodel.train()\nif True:\n    train()\n"
    assert text_of(laid_out(text)).count("backward") == 2


def test_optimizers_are_known_by_name_or_by_their_parameters():
    texts = ["optim.SGD(groups)", "Lion(net.parameters(), lr=1)", "sum(net.parameters())", "DDP(net)", "Adam()"]
    assert [is_optimizer(ast.parse(text, mode="eval").body) for text in texts] == [True, True, False, False, False]
