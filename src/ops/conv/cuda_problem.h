// What kernels of cuDNN read from a convolution.
#pragma once

#include "backend/cuda/cudnn_image.h"
#include "ops/conv/kernel_problem.h"

namespace cleave::backend {

// What capabilities_cuda.cc allows the operand with its padding and cuDNN's algorithms, in bytes.
int64_t most_conv_workspace(const KernelProblem& problem);

// The image under its window.
CudnnImage image_of(const KernelProblem& problem);

// Whether what takes one padding a dimension is given a copy of the operand, with its padding,
// instead: it is padded unevenly, or begins where cuDNN does not read.
bool needs_copy(const KernelProblem& problem, const CudnnImage& image);

// How cuDNN is given the operands: with the image's dimensions, in the format of all.
struct CudnnViews {
  Format format = Format::kRowMajor;
  TensorView x, w, y;  // all of the operand's type

  // `pads`: it is given the operand with its padding.
  CudnnViews(const KernelProblem& problem, const CudnnImage& image, bool pads);
};

}  // namespace cleave::backend
