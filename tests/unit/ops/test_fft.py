"""What `fft` refuses, and how it works through a batch."""

import torch

from ninefold.ops.engines import Fft, Native
from ninefold.ops.engines.sides import Sides
from ninefold.spec import ConvSpec

CPU = torch.device("cpu")
SPEC = ConvSpec.of((7, 4, 9, 10), (6, 2, 3, 3), groups=2, padding=1)


def test_a_batch_in_parts_gives_the_same_result():
    x, weight, grad = (
        torch.randn(s, dtype=torch.float64) for s in (SPEC.input_shape, SPEC.weight_shape, SPEC.output_shape)
    )
    of_one_number = 3 * 16 * 12 * 7  # copies * bytes * frequencies of 12 x 12
    engine = Fft(buffer_bytes=of_one_number * (6 * 2 + 2 * (4 + 6)))  # the weight and two pictures
    assert [len(part) for part in engine._parts(x, Sides.of(SPEC))] == [2, 2, 2, 1]
    torch.testing.assert_close(
        engine.run(x, engine.prepare(weight, SPEC), None, SPEC), Native().run(x, weight, None, SPEC)
    )
    torch.testing.assert_close(engine.weight_gradient(x, grad, SPEC), Native().weight_gradient(x, grad, SPEC))


def test_refuses_spectra_beyond_its_buffer_and_says_how_large_they_are():
    reason = Fft(buffer_bytes=2**20).why_not(ConvSpec.of((1, 8, 200, 200), (8, 8, 9, 9)), CPU, torch.float32)
    assert reason == "fft would take 37 MiB for the spectra of the weight and one picture, and it may take 1 MiB"


def test_refuses_devices_it_was_not_tried_on():
    assert "the device is mps" in Fft().why_not(SPEC, torch.device("mps"), torch.float32)


def test_refuses_a_gradient_only_where_it_refuses_the_convolution():
    for spec in (SPEC, ConvSpec.of((1, 8, 200, 200), (8, 8, 9, 9), stride=3)):
        for limit in (10**4, 10**6, 10**8):
            reasons = {Fft(limit).why_not(each, CPU, torch.float32) for each in (spec, spec.input_gradient())}
            assert len(reasons) == 1
