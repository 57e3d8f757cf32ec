// message.h: what message.cpp throws beside std::runtime_error.
#ifndef H5Z_OPENJPH_MESSAGE_H
#define H5Z_OPENJPH_MESSAGE_H

#include <exception>

namespace ojph {

/// The codestream uses something that OpenJPH does not decode.
struct unsupported : std::exception {};

} // namespace ojph

#endif
