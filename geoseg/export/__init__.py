"""Models for other programs: ONNX for QGIS-Deepness and ONNX Runtime, STAC MLM items, OpenVINO IR."""
