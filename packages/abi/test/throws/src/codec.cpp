// codec.cpp: throws what codecs in C++ throw, below many frames that have something to destroy. Test-only.
#include "codec.h"

#include <h5z/filter.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// What lives on the frames that a throw unwinds; back to zero shows that each destructor ran.
thread_local int alive = 0;

struct Guard {
  Guard() { alive++; }
  ~Guard() { alive--; }
};

struct Own : std::runtime_error {
  int code;
  explicit Own(int value) : std::runtime_error("own " + std::to_string(value)), code(value) {}
};

const std::vector<int> &table() {
  static const std::vector<int> made(1000, 1); // a constructor that allocates, at the first call
  return made;
}

const std::string fixed = "a static object that allocates when the module starts, before the first call";

int64_t fail(uint8_t how, int depth, std::vector<int> &values) {
  Guard guard;
  std::string text(40 + static_cast<size_t>(depth), 'x');
  if (depth > 0) return fail(how, depth - 1, values) + static_cast<int64_t>(text.size());
  switch (how) {
    case 1: return values.at(1000);
    case 2: throw Own(-77);
    case 3: throw std::bad_alloc();
    case 4: {
      volatile size_t huge = SIZE_MAX - 1000;
      void *large = ::operator new(huge); // throws by itself
      values.push_back(*static_cast<int *>(large));
      ::operator delete(large);
      return values.back();
    }
    case 5:
      try {
        throw Own(1);
      } catch (const std::exception &) {
        throw; // again, from inside a handler
      }
    case 6: throw 42;
    default: return std::stoi("not a number");
  }
}

} // namespace

// | how | bytes ... |   how 0: the bytes come out, sorted. Else: an exception, and each kind its own error code.
extern "C" int64_t codec_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap) {
  int64_t result = H5Z_E_INTERNAL;
  try {
    if (nin == 0) throw std::invalid_argument("no bytes");
    if (in[0] != 0) {
      std::vector<int> values(3);
      return fail(in[0], 50, values);
    }
    if (nin - 1 > cap) return H5Z_E_OUTPUT;
    std::map<uint8_t, size_t> counts;
    for (size_t i = 1; i < nin; i++) counts[in[i]]++;
    uint8_t *end = out;
    for (const auto &[byte, count] : counts) end = std::fill_n(end, count, byte);
    return fixed.back() == 'l' && table().size() == 1000 ? end - out : H5Z_E_INTERNAL;
  } catch (const Own &own) {
    result = own.code == -77 ? H5Z_E_UNSUPPORTED : H5Z_E_VERSION;
  } catch (const std::out_of_range &) {
    result = H5Z_E_CORRUPT;
  } catch (const std::bad_alloc &) {
    result = H5Z_E_MEMORY;
  } catch (const std::exception &) {
    result = H5Z_E_PARAM;
  } catch (...) {
    result = H5Z_E_NOT_APPLICABLE;
  }
  return alive == 0 ? result : H5Z_E_INTERNAL;
}
