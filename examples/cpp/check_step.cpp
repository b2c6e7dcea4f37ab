// Runs a bundle's step program frame by frame and compares its answers with reference.npz.
//
//     check_step BUNDLE/NAME_step.onnx BUNDLE/reference.npz [TOLERANCE [largest|spread]]
//
// The tolerance is a share of the largest logit, or of the logits' spread: inference.yml states
// both under `reference` (1e-4 of the largest without them). Exit code 0: all answers are within
// it; 1: they are not; 2: something cannot be read or run.
//
// What a program of your own needs is in `Stream`: zeros at first, and after each frame the oldest
// state of every queue goes and the newest comes. The frames have to be as the network takes them:
// the step's size, RGB, uint8, scaled and cropped as `pipeline` of inference.yml says.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "npz.hpp"
#include "onnxruntime_entries.h"

namespace {

using Shape = std::vector<std::int64_t>;

// Nothing is called here that version 1 does not have, so every library of 1.0 or newer will do.
const OrtApi& api() {
  static const OrtApi* const entries = OrtGetApiBase()->GetApi(1);
  if (entries == nullptr) throw std::runtime_error("ONNX Runtime has no version 1 of its API");
  return *entries;
}

void check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error(message);
}

struct Release {
  void operator()(OrtEnv* item) const { api().ReleaseEnv(item); }
  void operator()(OrtSession* item) const { api().ReleaseSession(item); }
  void operator()(OrtSessionOptions* item) const { api().ReleaseSessionOptions(item); }
  void operator()(OrtTypeInfo* item) const { api().ReleaseTypeInfo(item); }
  void operator()(OrtTensorTypeAndShapeInfo* item) const {
    api().ReleaseTensorTypeAndShapeInfo(item);
  }
  void operator()(OrtValue* item) const { api().ReleaseValue(item); }
};

template <typename Item>
using Owned = std::unique_ptr<Item, Release>;
using Tensor = std::shared_ptr<OrtValue>;

// What a creating function writes to its last argument, owned.
template <typename Item, typename Create>
Owned<Item> created(Create create) {
  Item* item = nullptr;
  check(create(&item));
  return Owned<Item>(item);
}

OrtAllocator* allocator() {
  OrtAllocator* found = nullptr;
  check(api().GetAllocatorWithDefaultOptions(&found));
  return found;
}

void* data_of(OrtValue* tensor) {
  void* data = nullptr;
  check(api().GetTensorMutableData(tensor, &data));
  return data;
}

std::size_t element_bytes(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return 1;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return 8;
    default:
      throw std::runtime_error("an input is of a type that a step program does not have");
  }
}

struct Input {
  std::string name;
  ONNXTensorElementDataType type;
  Shape shape;  // the batch is -1 where it may be any
};

Tensor new_tensor(const Input& input, const void* data, std::int64_t batch) {
  Shape shape = input.shape;
  shape[0] = batch;
  OrtValue* tensor = nullptr;
  check(api().CreateTensorAsOrtValue(allocator(), shape.data(), shape.size(), input.type, &tensor));
  Tensor owned(tensor, Release());
  std::size_t bytes = element_bytes(input.type);
  for (std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
  if (data == nullptr) {
    std::memset(data_of(tensor), 0, bytes);
  } else {
    std::memcpy(data_of(tensor), data, bytes);
  }
  return owned;
}

class StepProgram {
 public:
  explicit StepProgram(const std::string& path) {
    env_ = created<OrtEnv>([](OrtEnv** env) {
      return api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "check_step", env);
    });
    const auto options = created<OrtSessionOptions>(
        [](OrtSessionOptions** item) { return api().CreateSessionOptions(item); });
    check(api().SetIntraOpNumThreads(options.get(), 1));  // a frame is little work
    session_ = created<OrtSession>([&](OrtSession** session) {
      return api().CreateSession(env_.get(), path.c_str(), options.get(), session);
    });
    std::size_t count = 0;
    check(api().SessionGetInputCount(session_.get(), &count));
    for (std::size_t i = 0; i < count; ++i) inputs_.push_back(input(i));
    check(api().SessionGetOutputCount(session_.get(), &count));
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      check(api().SessionGetOutputName(session_.get(), i, allocator(), &name));
      outputs_.push_back(taken(name));
    }
  }

  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<std::string>& outputs() const { return outputs_; }

  // The outputs in their order, of tensors in the order of the inputs.
  std::vector<Tensor> run(const std::vector<Tensor>& tensors) const {
    std::vector<const char*> input_names, output_names;
    std::vector<const OrtValue*> values;
    for (const Input& input : inputs_) input_names.push_back(input.name.c_str());
    for (const std::string& name : outputs_) output_names.push_back(name.c_str());
    for (const Tensor& tensor : tensors) values.push_back(tensor.get());
    std::vector<OrtValue*> results(outputs_.size(), nullptr);
    check(api().Run(session_.get(), nullptr, input_names.data(), values.data(), values.size(),
                    output_names.data(), output_names.size(), results.data()));
    std::vector<Tensor> owned;
    for (OrtValue* result : results) owned.emplace_back(result, Release());
    return owned;
  }

 private:
  Input input(std::size_t index) const {
    char* name = nullptr;
    check(api().SessionGetInputName(session_.get(), index, allocator(), &name));
    Input input{taken(name), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {}};
    const auto info = created<OrtTypeInfo>([&](OrtTypeInfo** item) {
      return api().SessionGetInputTypeInfo(session_.get(), index, item);
    });
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // the type's own
    check(api().CastTypeInfoToTensorInfo(info.get(), &tensor));
    if (tensor == nullptr) throw std::runtime_error("the input " + input.name + " is no tensor");
    check(api().GetTensorElementType(tensor, &input.type));
    std::size_t rank = 0;
    check(api().GetDimensionsCount(tensor, &rank));
    input.shape.resize(rank);
    check(api().GetDimensions(tensor, input.shape.data(), rank));
    if (rank == 0 || std::any_of(input.shape.begin() + 1, input.shape.end(),
                                 [](std::int64_t size) { return size < 1; })) {
      throw std::runtime_error("the input " + input.name + " has no fixed size");
    }
    return input;
  }

  static std::string taken(char* name) {
    const std::string copy = name;
    check(api().AllocatorFree(allocator(), name));
    return copy;
  }

  Owned<OrtEnv> env_;  // outlives the session
  Owned<OrtSession> session_;
  std::vector<Input> inputs_;
  std::vector<std::string> outputs_;
};

// Streams that go on together, frame by frame.
//
// The program's first input is the frame, its first output the logits. Every other output
// `new_NAME` is the newest tensor of the queue NAME, whose inputs are `NAME_0` (the oldest),
// `NAME_1` and so on, or `NAME` alone where the queue has one tensor. inference.yml lists the same.
class Stream {
 public:
  Stream(const StepProgram& program, std::int64_t batch) : program_(program), batch_(batch) {
    std::map<std::string, const Input*> inputs;
    for (const Input& input : program.inputs()) inputs[input.name] = &input;
    std::size_t states = 0;
    for (std::size_t i = 1; i < program.outputs().size(); ++i) {
      const std::string& output = program.outputs()[i];
      if (output.rfind("new_", 0) != 0) throw std::runtime_error(output + " is no state");
      const std::string name = output.substr(4);
      std::vector<std::string> names;
      if (inputs.count(name) != 0) names.push_back(name);
      while (names.empty() || names[0] != name) {
        const std::string next = name + "_" + std::to_string(names.size());
        if (inputs.count(next) == 0) break;
        names.push_back(next);
      }
      if (names.empty()) throw std::runtime_error("no input takes " + output);
      // Nothing writes into a state, so one tensor of zeros does for a whole queue.
      const Tensor zeros = new_tensor(*inputs[names[0]], nullptr, batch);
      queues_.push_back({names, std::deque<Tensor>(names.size(), zeros)});
      states += names.size();
    }
    if (states + 1 != inputs.size()) throw std::runtime_error("some inputs are no states");
  }

  // Logits [batch, classes] behind one more frame of each stream, [batch, 3, H, W].
  std::vector<float> step(const void* frames) {
    std::map<std::string, Tensor> by_name;
    for (const Queue& queue : queues_) {
      for (std::size_t i = 0; i < queue.names.size(); ++i) by_name[queue.names[i]] = queue.states[i];
    }
    const Input& frame = program_.inputs()[0];
    by_name[frame.name] = new_tensor(frame, frames, batch_);
    std::vector<Tensor> tensors;
    for (const Input& input : program_.inputs()) tensors.push_back(by_name.at(input.name));

    const std::vector<Tensor> results = program_.run(tensors);
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      queues_[i].states.pop_front();
      queues_[i].states.push_back(results[i + 1]);
    }
    const auto info = created<OrtTensorTypeAndShapeInfo>([&](OrtTensorTypeAndShapeInfo** item) {
      return api().GetTensorTypeAndShape(results[0].get(), item);
    });
    std::size_t count = 0;
    check(api().GetTensorShapeElementCount(info.get(), &count));
    const float* logits = static_cast<const float*>(data_of(results[0].get()));
    return std::vector<float>(logits, logits + count);
  }

 private:
  struct Queue {
    std::vector<std::string> names;
    std::deque<Tensor> states;  // oldest first
  };

  const StepProgram& program_;
  std::int64_t batch_;
  std::vector<Queue> queues_;
};

const npz::Array& array_named(const std::map<std::string, npz::Array>& arrays,
                              const std::string& beginning, std::size_t rank) {
  for (const auto& item : arrays) {
    if (item.first.rfind(beginning, 0) != 0) continue;
    if (item.second.shape.size() != rank) break;
    return item.second;
  }
  throw std::runtime_error("the reference has no " + beginning + " of the right shape");
}

// The largest difference, as a share of the largest logit or of the logits' spread.
double largest_difference(const StepProgram& program, const std::string& reference_path,
                          bool in_spreads) {
  const auto arrays = npz::read(reference_path);
  const npz::Array& frames = array_named(arrays, "frames.", 4);
  const npz::Array& order = array_named(arrays, "order.", 2);
  const npz::Array& answers = array_named(arrays, "step_logits", 3);
  const auto indices = order.elements<std::int32_t>("<i4");
  const auto expected = answers.elements<float>("<f4");
  const std::int64_t batch = order.shape[0], length = order.shape[1], classes = answers.shape[2];
  const Input& input = program.inputs()[0];
  if (!std::equal(frames.shape.begin() + 1, frames.shape.end(), input.shape.begin() + 1,
                  input.shape.end()) ||
      frames.data.size() != static_cast<std::size_t>(frames.count()) * element_bytes(input.type) ||
      frames.shape[0] < 1 || answers.shape[0] > length || answers.shape[1] != batch || expected.empty()) {
    throw std::runtime_error("the reference is of another model");
  }

  Stream stream(program, batch);
  const std::size_t frame_bytes = frames.data.size() / static_cast<std::size_t>(frames.shape[0]);
  std::vector<unsigned char> shown(frame_bytes * static_cast<std::size_t>(batch));
  std::vector<float> logits;
  double difference = 0;
  for (std::int64_t step = 0; step < answers.shape[0]; ++step) {
    for (std::int64_t row = 0; row < batch; ++row) {
      const std::int32_t number = indices[row * length + step];
      if (number < 0 || number >= frames.shape[0]) throw std::runtime_error("no such frame");
      std::memcpy(&shown[frame_bytes * row], &frames.data[frame_bytes * number], frame_bytes);
    }
    logits = stream.step(shown.data());
    if (logits.size() != static_cast<std::size_t>(batch * classes)) {
      throw std::runtime_error("the reference has another number of classes");
    }
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double apart = std::abs(double{logits[i]} - expected[step * logits.size() + i]);
      difference = std::isnan(apart) ? INFINITY : std::max(difference, apart);
    }
  }
  for (std::int64_t row = 0; row < batch; ++row) {
    const auto first = logits.begin() + row * classes;
    const auto best = std::max_element(first, first + classes);
    std::printf("stream %d: class %d, logit %.6f, behind %d frames\n", static_cast<int>(row),
                static_cast<int>(best - first), *best, static_cast<int>(answers.shape[0]));
  }
  const auto range = std::minmax_element(expected.begin(), expected.end());
  const double scale = in_spreads ? double{*range.second} - *range.first
                                  : std::max(std::abs(*range.first), std::abs(*range.second));
  return difference / scale;
}

int run(const std::string& program, const std::string& reference, double tolerance,
        const std::string& of) {
  const double difference = largest_difference(StepProgram(program), reference, of == "spread");
  std::printf("ONNX Runtime %s: largest difference %.2e of the %s%s, tolerance %.0e\n",
              OrtGetApiBase()->GetVersionString(), difference, of.c_str(),
              of == "spread" ? "" : " logit", tolerance);
  return difference <= tolerance ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const double tolerance = count > 3 ? std::atof(arguments[3]) : 1e-4;
  const std::string of = count > 4 ? arguments[4] : "largest";
  if (count < 3 || count > 5 || !(tolerance > 0) || (of != "largest" && of != "spread")) {
    std::fprintf(stderr, "usage: %s STEP.onnx reference.npz [TOLERANCE [largest|spread]]\n",
                 count > 0 ? arguments[0] : "check_step");
    return 2;
  }
  try {
    return run(arguments[1], arguments[2], tolerance, of);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s, %s: %s\n", arguments[1], arguments[2], error.what());
    return 2;
  }
}
