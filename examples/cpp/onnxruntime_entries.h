// The entries of ONNX Runtime's C API that check_step.cpp calls, for where its header is not at hand.
//
// The header comes with ONNX Runtime's releases and its packages for C#, Android and iOS, not with
// the Python wheel, whose shared library is the same. If <onnxruntime_c_api.h> is on the include
// path it is taken, and nothing below.
//
// `OrtApi` is a table of pointers. Those of version 1 of the API, which came with ONNX Runtime 1.0,
// are the first 102, and their order is fixed: programs that were built with an older header find
// their functions by it, so later versions only append
// (onnxruntime/core/session/onnxruntime_c_api.cc holds it with assertions). What is not called here
// is left out as a gap. C has no check of a table's meaning, so the order of every entry is asserted.
#pragma once

#if defined(__has_include)
#if __has_include(<onnxruntime_c_api.h>)
#define HAS_ONNXRUNTIME_HEADER
#endif
#endif

#ifdef HAS_ONNXRUNTIME_HEADER
#include <onnxruntime_c_api.h>
#elif defined(_WIN32)
#error "On Windows, where paths are wide, take onnxruntime_c_api.h from ONNX Runtime's release."
#else

#include <cstddef>
#include <cstdint>

struct OrtAllocator;
struct OrtEnv;
struct OrtMemoryInfo;
struct OrtRunOptions;
struct OrtSession;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_WARNING = 2 };

enum ONNXTensorElementDataType {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 = 6,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7,
};

using OrtGap = void (*)();

// A function that returns null, or a status that says what went wrong.
template <typename... Arguments>
using OrtCall = OrtStatus* (*)(Arguments...);

struct OrtApi {
  OrtGap gap_0[2];
  const char* (*GetErrorMessage)(const OrtStatus*);
  OrtCall<OrtLoggingLevel, const char*, OrtEnv**> CreateEnv;
  OrtGap gap_4[3];
  OrtCall<const OrtEnv*, const char*, const OrtSessionOptions*, OrtSession**> CreateSession;
  OrtGap gap_8[1];
  OrtCall<OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*, std::size_t,
          const char* const*, std::size_t, OrtValue**>
      Run;
  OrtCall<OrtSessionOptions**> CreateSessionOptions;
  OrtGap gap_11[13];
  OrtCall<OrtSessionOptions*, int> SetIntraOpNumThreads;
  OrtGap gap_25[5];
  OrtCall<const OrtSession*, std::size_t*> SessionGetInputCount;
  OrtCall<const OrtSession*, std::size_t*> SessionGetOutputCount;
  OrtGap gap_32[1];
  OrtCall<const OrtSession*, std::size_t, OrtTypeInfo**> SessionGetInputTypeInfo;
  OrtGap gap_34[2];
  OrtCall<const OrtSession*, std::size_t, OrtAllocator*, char**> SessionGetInputName;
  OrtCall<const OrtSession*, std::size_t, OrtAllocator*, char**> SessionGetOutputName;
  OrtGap gap_38[10];
  OrtCall<OrtAllocator*, const std::int64_t*, std::size_t, ONNXTensorElementDataType, OrtValue**>
      CreateTensorAsOrtValue;
  OrtGap gap_49[2];
  OrtCall<OrtValue*, void**> GetTensorMutableData;
  OrtGap gap_52[3];
  OrtCall<const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**> CastTypeInfoToTensorInfo;
  OrtGap gap_56[4];
  OrtCall<const OrtTensorTypeAndShapeInfo*, ONNXTensorElementDataType*> GetTensorElementType;
  OrtCall<const OrtTensorTypeAndShapeInfo*, std::size_t*> GetDimensionsCount;
  OrtCall<const OrtTensorTypeAndShapeInfo*, std::int64_t*, std::size_t> GetDimensions;
  OrtGap gap_63[1];
  OrtCall<const OrtTensorTypeAndShapeInfo*, std::size_t*> GetTensorShapeElementCount;
  OrtCall<const OrtValue*, OrtTensorTypeAndShapeInfo**> GetTensorTypeAndShape;
  OrtGap gap_66[10];
  OrtCall<OrtAllocator*, void*> AllocatorFree;
  OrtGap gap_77[1];
  OrtCall<OrtAllocator**> GetAllocatorWithDefaultOptions;
  OrtGap gap_79[13];
  void (*ReleaseEnv)(OrtEnv*);
  void (*ReleaseStatus)(OrtStatus*);
  OrtGap gap_94[1];
  void (*ReleaseSession)(OrtSession*);
  void (*ReleaseValue)(OrtValue*);
  OrtGap gap_97[1];
  void (*ReleaseTypeInfo)(OrtTypeInfo*);
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo*);
  void (*ReleaseSessionOptions)(OrtSessionOptions*);
};

#define ASSERT_ORT_ENTRY(name, index)                        \
  static_assert(offsetof(OrtApi, name) == (index) * sizeof(OrtGap), #name " is entry " #index)
ASSERT_ORT_ENTRY(GetErrorMessage, 2);
ASSERT_ORT_ENTRY(CreateEnv, 3);
ASSERT_ORT_ENTRY(CreateSession, 7);
ASSERT_ORT_ENTRY(Run, 9);
ASSERT_ORT_ENTRY(CreateSessionOptions, 10);
ASSERT_ORT_ENTRY(SetIntraOpNumThreads, 24);
ASSERT_ORT_ENTRY(SessionGetInputCount, 30);
ASSERT_ORT_ENTRY(SessionGetOutputCount, 31);
ASSERT_ORT_ENTRY(SessionGetInputTypeInfo, 33);
ASSERT_ORT_ENTRY(SessionGetInputName, 36);
ASSERT_ORT_ENTRY(SessionGetOutputName, 37);
ASSERT_ORT_ENTRY(CreateTensorAsOrtValue, 48);
ASSERT_ORT_ENTRY(GetTensorMutableData, 51);
ASSERT_ORT_ENTRY(CastTypeInfoToTensorInfo, 55);
ASSERT_ORT_ENTRY(GetTensorElementType, 60);
ASSERT_ORT_ENTRY(GetDimensionsCount, 61);
ASSERT_ORT_ENTRY(GetDimensions, 62);
ASSERT_ORT_ENTRY(GetTensorShapeElementCount, 64);
ASSERT_ORT_ENTRY(GetTensorTypeAndShape, 65);
ASSERT_ORT_ENTRY(AllocatorFree, 76);
ASSERT_ORT_ENTRY(GetAllocatorWithDefaultOptions, 78);
ASSERT_ORT_ENTRY(ReleaseEnv, 92);
ASSERT_ORT_ENTRY(ReleaseStatus, 93);
ASSERT_ORT_ENTRY(ReleaseSession, 95);
ASSERT_ORT_ENTRY(ReleaseValue, 96);
ASSERT_ORT_ENTRY(ReleaseTypeInfo, 98);
ASSERT_ORT_ENTRY(ReleaseTensorTypeAndShapeInfo, 99);
ASSERT_ORT_ENTRY(ReleaseSessionOptions, 100);
#undef ASSERT_ORT_ENTRY

struct OrtApiBase {
  const OrtApi* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

extern "C" const OrtApiBase* OrtGetApiBase(void);

#endif
