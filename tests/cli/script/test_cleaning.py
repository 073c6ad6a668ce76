import ast

import pytest

from batchlab.cli.script.cleaning import clean


def cleaned(text):
    return "\n".join(map(ast.unparse, map(ast.fix_missing_locations, clean(ast.parse(text).body))))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("net = Net().to(device)", "net = Net()"),
        ("net = Net().cuda()", "net = Net()"),
        ("net = Net().to('cuda:1')", "net = Net()"),
        ("net.to(device)", ""),
        ("net = net.to(torch.device('cpu'))", ""),
        ("x = x.to(device, non_blocking=True)", ""),
        ("x = x.to(torch.float16)", "x = x.to(torch.float16)"),
        ("x = x.to(device, torch.float16)", "x = x.to(torch.float16)"),
        ("w = torch.ones(3, device=device)", "w = torch.ones(3)"),
        ("net = Net(device=device)", "net = Net(device=device)"),
        ("gpu = 'cuda' if torch.cuda.is_available() else 'cpu'\nx = f(y).to(gpu)", "x = f(y)"),
        ("net = nn.DataParallel(net)", ""),
        ("net = torch.compile(Net())", "net = Net()"),
        ("p = re.compile('x')", "p = re.compile('x')"),
        ("batch = {k: v.to(device) for k, v in batch.items()}", ""),
        ("batch = tuple(t.to(device) for t in batch)", ""),
        ("x, y = [t.to(device) for t in batch]", "x, y = batch"),
        ("x, y = x.to(device), y.to(device)", ""),
        ("x, y = x.float(), y.to(device)", "x = x.float()"),
        ("x, y = y, x", "x, y = (y, x)"),
        ("net, opt = accelerator.prepare(net, opt)", ""),
        ("print('hello')\nlogger.info('x')\nnet.train()\nnet.eval()", ""),
        ("if False:\n    a = 1\nelse:\n    a = 2", "a = 2"),
        ("if cuda:\n    net.cuda()", ""),
        ("if cuda:\n    net.cuda()\nelse:\n    a = 1", "if not cuda:\n    a = 1"),
        ("for x in xs:\n    print(x)", ""),
        ("m = model.to(device)\nloss = m(x)", "loss = model(x)"),
        ("m = model\nm = other\nloss = m(x)", "m = model\nm = other\nloss = m(x)"),
    ],
)
def test_a_workload_gets_only_what_it_does_itself(text, left):
    # The statement that finds a device stays: only what moves things there goes.
    assert cleaned(text).removeprefix("gpu = 'cuda' if torch.cuda.is_available() else 'cpu'\n") == left


def test_functions_and_classes_stay_as_they_are():
    text = "class Net:\n\n    def forward(self, x):\n        print(x)\n        return x.to(device)"
    assert cleaned(text) == text
