//! What has no form in ONNX is named.
