"""How many inputs operations of ONNX need at least, in every version of theirs: OpenVINO ends the process over fewer.

https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.model.foreign.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

_OURS = ("", "ai.onnx")
"""Domains of the operations that ONNX itself defines."""

_WITHOUT = {"Constant", "RandomNormal", "RandomUniform", "Optional", "OptionalHasElement", "SequenceEmpty"}
_LEAST = {
    name: count
    for count, names in {
        2: "Add Sub Mul Div Pow Mod And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual BitShift BitwiseAnd "
        "BitwiseOr BitwiseXor CastLike Conv ConvTranspose ConvInteger MatMul MatMulInteger Gemm PRelu Gather "
        "GatherElements GatherND Expand Tile Compress CumSum CumProd GridSample AffineGrid MaxUnpool MaxRoiPool "
        "CenterCropPad LayerNormalization RMSNormalization QuantizeLinear DequantizeLinear NonMaxSuppression Loop "
        "ReverseSequence SequenceAt SequenceInsert STFT",
        3: "Where Range OneHot RoiAlign Scatter ScatterElements ScatterND InstanceNormalization GroupNormalization "
        "DeformConv Col2Im Attention RotaryEmbedding RNN GRU LSTM",
        5: "BatchNormalization MelWeightMatrix",
        8: "QLinearConv QLinearMatMul",
    }.items()
    for name in names.split()
}


def check_inputs(operation: str, domain: str, inputs: Sequence[str]) -> None:
    """Refuse an operation that lacks an input; one without a name is left out.

    Raises:
        WireError: it does.
    """
    if domain not in _OURS or operation in _WITHOUT:
        return
    least = _LEAST.get(operation, 1)
    given = sum(1 for name in inputs[:least] if name)
    if given < least:
        raise WireError(f"its operation {operation or 'without a name'} has {given} of {least} inputs")
