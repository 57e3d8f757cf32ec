// system.h: what differs between systems: memory in large pages, reading files at a place, counting
// cores, starting threads.

#ifndef H5Z_NATIVE_SYSTEM_H
#define H5Z_NATIVE_SYSTEM_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  define NOMINMAX
#  include <windows.h>
#endif

namespace h5z {

#if defined(_WIN32)
// The sentence for GetLastError().
std::string LastSystemMessage();
using PathText = std::u16string;
#else
using PathText = std::string;
#endif

// Lets fresh memory that is about to be filled come in large pages where the system has them: a fault for every 4 KiB costs
// as much as decoding them. A hint; small ranges are left alone.
void UseLargePages(void* data, size_t size);

// What large pages have, and what memory from MapPages is aligned to where the system lets it be.
constexpr size_t kLargePage = 2u << 20;
// Zeroed memory of the system, `size` a multiple of its pages; nullptr when there is none. UnmapPages gives it back.
void* MapPages(size_t size);
void UnmapPages(void* data, size_t size);
// Makes such memory zeros again without touching it; false where the system cannot.
bool ClearPages(void* data, size_t size);

// A file open for reading at any place from any thread.
class File {
 public:
  // nullptr with `why`.
  static std::shared_ptr<File> Open(const PathText& path, std::string* why);
  ~File();
  // Bytes read, fewer than `size` only at the end of the file; -1 with `why`.
  int64_t ReadAt(uint64_t address, uint8_t* out, size_t size, std::string* why) const;

 private:
#if defined(_WIN32)
  explicit File(HANDLE handle) : handle_(handle) {}
  HANDLE handle_;
#else
  explicit File(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
#endif
};

// Cores that this process may use, counted once each however many threads they run; 0 where the system does not say.
unsigned PhysicalCores();

// Starts a thread that nobody joins; false when the system has none to give.
bool StartThread(void (*run)(void*), void* argument);

// Keeps this addon in memory for the life of the process: its threads outlive the JavaScript that loaded it.
void StayLoaded();

}  // namespace h5z
#endif
