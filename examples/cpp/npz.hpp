// Reads .npz files: ZIP archives of NumPy arrays, stored or deflated, with zlib.
//
// ZIP after PKWARE's APPNOTE.TXT (sections 4.3.7, 4.3.12 and 4.3.16), arrays after NumPy's
// documentation of numpy.lib.format. Archives beyond 4 GiB are refused. A damaged file is an
// exception, never a read out of bounds.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace npz {

using Bytes = std::vector<unsigned char>;

struct Array {
  std::string type;  // as NumPy writes it: "<f4", "|u1", "<i4"
  std::vector<std::int64_t> shape;
  Bytes data;  // in C order

  std::int64_t count() const {
    std::int64_t product = 1;
    for (std::int64_t size : shape) product *= size;
    return product;
  }

  template <typename Element>
  std::vector<Element> elements(const char* expected_type) const {
    if (type != expected_type) {
      throw std::runtime_error("an array is " + type + ", expected " + expected_type);
    }
    std::vector<Element> values(static_cast<std::size_t>(count()));
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }
};

namespace detail {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of one array

inline std::uint32_t little_endian(const Bytes& bytes, std::size_t at, int size) {
  if (at + size > bytes.size()) throw std::runtime_error("the archive is cut");
  std::uint32_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

inline std::size_t end_of_directory(const Bytes& file) {
  constexpr std::size_t kSize = 22, kLongestComment = 65535;
  for (std::size_t back = kSize; back <= file.size() && back <= kSize + kLongestComment; ++back) {
    const std::size_t at = file.size() - back;
    if (little_endian(file, at, 4) == 0x06054b50) return at;
  }
  throw std::runtime_error("no ZIP archive");
}

inline Bytes inflated(const unsigned char* packed, std::size_t packed_size, std::size_t size) {
  Bytes bytes(size + 1);  // one more, so that too much is noticed
  z_stream stream{};
  stream.next_in = const_cast<unsigned char*>(packed);
  stream.avail_in = static_cast<uInt>(packed_size);
  stream.next_out = bytes.data();
  stream.avail_out = static_cast<uInt>(bytes.size());
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::runtime_error("zlib does not start");
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result != Z_STREAM_END || stream.total_out != size) {
    throw std::runtime_error("an array of the archive is damaged");
  }
  bytes.resize(size);
  return bytes;
}

// The text behind 'key': in the header of an array, which is a Python dictionary.
inline std::string value_of(const std::string& header, const std::string& key) {
  const std::string quoted = "'" + key + "':";
  const std::size_t at = header.find(quoted);
  if (at == std::string::npos) throw std::runtime_error("an array has no " + key);
  const std::size_t begin = header.find_first_not_of(' ', at + quoted.size());
  return begin == std::string::npos ? "" : header.substr(begin);
}

inline Array array_of(const Bytes& member) {
  static const unsigned char kMagic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (member.size() < 10 || !std::equal(kMagic, kMagic + 6, member.begin())) {
    throw std::runtime_error("a member of the archive is no array");
  }
  const int length_bytes = member[6] == 1 ? 2 : 4;
  const std::size_t begin = 8 + length_bytes;
  const std::size_t length = little_endian(member, 8, length_bytes);
  if (begin + length > member.size()) throw std::runtime_error("the header of an array is cut");
  const std::string header(member.begin() + begin, member.begin() + begin + length);

  Array array;
  const std::string type = value_of(header, "descr");
  array.type = type.substr(0, type.find('\'', 1)).substr(1);
  if (value_of(header, "fortran_order").rfind("False", 0) != 0) {
    throw std::runtime_error("an array is in Fortran's order");
  }
  std::string shape = value_of(header, "shape");
  shape = shape.substr(0, shape.find(')'));
  std::size_t count = 1;
  for (std::size_t at = 0; (at = shape.find_first_of("0123456789", at)) != std::string::npos;) {
    const std::size_t end = std::min(shape.find_first_not_of("0123456789", at), shape.size());
    if (end - at > 9) throw std::runtime_error("an array is too large");
    array.shape.push_back(std::stoll(shape.substr(at, end - at)));
    count *= static_cast<std::size_t>(array.shape.back());
    if (count > kMostBytes) throw std::runtime_error("an array is too large");
    at = end;
  }
  array.data.assign(member.begin() + begin + length, member.end());
  const std::size_t element_bytes = array.type.size() == 3 ? array.type[2] - '0' : 0;
  if (array.data.size() != count * element_bytes) {
    throw std::runtime_error("an array is not as long as its shape says");
  }
  return array;
}

}  // namespace detail

// All arrays of a file, by their names without ".npy".
inline std::map<std::string, Array> read(const std::string& path) {
  using detail::little_endian;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot be opened");
  const Bytes file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const std::size_t end = detail::end_of_directory(file);
  const std::uint32_t members = little_endian(file, end + 10, 2);
  std::size_t at = little_endian(file, end + 16, 4);

  std::map<std::string, Array> arrays;
  for (std::uint32_t i = 0; i < members; ++i) {
    if (little_endian(file, at, 4) != 0x02014b50) throw std::runtime_error("a damaged archive");
    const std::uint32_t method = little_endian(file, at + 10, 2);
    const std::uint32_t checksum = little_endian(file, at + 16, 4);
    const std::size_t packed_size = little_endian(file, at + 20, 4);
    const std::size_t size = little_endian(file, at + 24, 4);
    const std::size_t name_size = little_endian(file, at + 28, 2);
    const std::size_t local = little_endian(file, at + 42, 4);
    const std::size_t extras = little_endian(file, at + 30, 2) + little_endian(file, at + 32, 2);
    if (at + 46 + name_size > file.size()) throw std::runtime_error("the archive is cut");
    std::string name(file.begin() + at + 46, file.begin() + at + 46 + name_size);
    at += 46 + name_size + extras;

    // The member's own header states its own extras; its sizes may stand in them, so they are not
    // read.
    const std::size_t begin =
        local + 30 + little_endian(file, local + 26, 2) + little_endian(file, local + 28, 2);
    if (begin + packed_size > file.size()) throw std::runtime_error("the archive is cut");
    if (size > detail::kMostBytes) throw std::runtime_error(name + " is too large");
    Bytes member;
    if (method == 8) {
      member = detail::inflated(file.data() + begin, packed_size, size);
    } else if (method == 0 && packed_size == size) {
      member.assign(file.begin() + begin, file.begin() + begin + size);
    } else {
      throw std::runtime_error(name + " is packed in a way that is not read here");
    }
    if (crc32(0, member.data(), static_cast<uInt>(member.size())) != checksum) {
      throw std::runtime_error(name + " does not have its checksum");
    }
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0) {
      arrays[name.substr(0, name.size() - 4)] = detail::array_of(member);
    }
  }
  return arrays;
}

}  // namespace npz
