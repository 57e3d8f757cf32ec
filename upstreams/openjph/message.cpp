// message.cpp: OpenJPH's messages, which it would print. An error is an exception, as it is upstream; a warning that part of
// the codestream is left out of the decoded image is one too, since a chunk is decoded whole or not at all.
#include "message.h"
#include "ojph_message.h"

#include <stdexcept>

namespace ojph {

namespace {

enum {
  SKIPPED_SEGMENT = 0x00030001,  // RGN, POC, PPM ... "is not supported yet"
  COC_OPTIONS = 0x00050011,      // "unsupported options in Scoc"
  TERMINATED_EARLY = 0x00030067  // the codestream ends before its EOC marker
};

message_info info;
message_warning warning;
message_error error;

} // namespace

message_info *get_info() { return &info; }
message_warning *get_warning() { return &warning; }
message_error *get_error() { return &error; }

void message_info::operator()(int code, const char *, int, const char *, ...) {
  if (code == TERMINATED_EARLY) throw std::runtime_error("terminated early");
}

void message_warning::operator()(int code, const char *, int, const char *, ...) {
  if (code == SKIPPED_SEGMENT || code == COC_OPTIONS) throw unsupported();
}

void message_error::operator()(int, const char *, int, const char *, ...) { throw std::runtime_error("error"); }

} // namespace ojph
