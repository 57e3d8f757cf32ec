// system.cc: see system.h.

#include "system.h"

#if defined(_WIN32)
#  include <process.h>
#  include <vector>
#else
#  include <dlfcn.h>
#  include <fcntl.h>
#  include <pthread.h>
#  include <sys/mman.h>
#  include <unistd.h>
#  include <cerrno>
#  include <cstdio>
#  include <cstring>
#  if defined(__APPLE__)
#    include <sys/sysctl.h>
#  else
#    include <sched.h>
#    include <set>
#  endif
#endif

#include <algorithm>

namespace h5z {

// Codecs keep tables on the stack; musl's own default would be 128 KiB.
static constexpr size_t kStackBytes = 8u << 20;
// Most bytes for one call of the system.
static constexpr size_t kReadBytes = 1u << 30;

void UseLargePages(void* data, size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kMask = kLargePage - 1;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(data) + kMask) & ~kMask;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + size) & ~kMask;
  if (data && first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)data, (void)size;
#endif
}

#if defined(_WIN32)

void* MapPages(size_t size) { return VirtualAlloc(nullptr, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }

void UnmapPages(void* data, size_t) { VirtualFree(data, 0, MEM_RELEASE); }

bool ClearPages(void*, size_t) { return false; }

std::string LastSystemMessage() {
  DWORD code = GetLastError();
  char text[512];
  DWORD n = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, code, 0, text,
                           sizeof text, nullptr);
  while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == '.')) n--;
  return n ? std::string(text, n) : "error " + std::to_string(code);
}

std::shared_ptr<File> File::Open(const PathText& path, std::string* why) {
  HANDLE handle = CreateFileW(reinterpret_cast<const wchar_t*>(path.c_str()), GENERIC_READ,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, nullptr);
  if (handle != INVALID_HANDLE_VALUE) return std::shared_ptr<File>(new File(handle));
  *why = LastSystemMessage();
  return nullptr;
}

File::~File() { CloseHandle(handle_); }

int64_t File::ReadAt(uint64_t address, uint8_t* out, size_t size, std::string* why) const {
  size_t done = 0;
  while (done < size) {
    OVERLAPPED place = {};
    place.Offset = static_cast<DWORD>(address + done);
    place.OffsetHigh = static_cast<DWORD>((address + done) >> 32);
    DWORD n = 0;
    if (!ReadFile(handle_, out + done, static_cast<DWORD>(std::min(size - done, kReadBytes)), &n, &place)) {
      if (GetLastError() == ERROR_HANDLE_EOF) break;
      *why = LastSystemMessage();
      return -1;
    }
    if (n == 0) break;
    done += n;
  }
  return static_cast<int64_t>(done);
}

unsigned PhysicalCores() {
  DWORD bytes = 0;
  GetLogicalProcessorInformation(nullptr, &bytes);
  std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> all(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
  if (all.empty() || !GetLogicalProcessorInformation(all.data(), &bytes)) return 0;
  unsigned cores = 0;
  for (const auto& one : all) cores += one.Relationship == RelationProcessorCore;
  return cores;
}

struct ThreadStart {
  void (*run)(void*);
  void* argument;
};

static unsigned __stdcall Enter(void* start) {
  ThreadStart copy = *static_cast<ThreadStart*>(start);
  delete static_cast<ThreadStart*>(start);
  copy.run(copy.argument);
  return 0;
}

bool StartThread(void (*run)(void*), void* argument) {
  auto* start = new ThreadStart{run, argument};
  uintptr_t thread = _beginthreadex(nullptr, kStackBytes, Enter, start, STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (thread) {
    CloseHandle(reinterpret_cast<HANDLE>(thread));
    return true;
  }
  delete start;
  return false;
}

void StayLoaded() {
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<const wchar_t*>(&StayLoaded), &self);
}

#else

void* MapPages(size_t size) {
  // Larger by one page, so that a part of it is aligned; the rest goes back at once.
  if (size > SIZE_MAX - kLargePage) return nullptr;
  void* all = mmap(nullptr, size + kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  auto* data = static_cast<uint8_t*>(all);
  const size_t before = (kLargePage - (reinterpret_cast<uintptr_t>(all) & (kLargePage - 1))) & (kLargePage - 1);
  if (before) munmap(data, before);
  if (before < kLargePage) munmap(data + before + size, kLargePage - before);
  UseLargePages(data + before, size);
  return data + before;
}

void UnmapPages(void* data, size_t size) { munmap(data, size); }

bool ClearPages(void* data, size_t size) {
#  if defined(__linux__)
  return madvise(data, size, MADV_DONTNEED) == 0;
#  else
  (void)data, (void)size;
  return false;  // MADV_FREE of others may leave what was there
#  endif
}

std::shared_ptr<File> File::Open(const PathText& path, std::string* why) {
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) return std::shared_ptr<File>(new File(descriptor));
  *why = std::strerror(errno);
  return nullptr;
}

File::~File() { close(descriptor_); }

int64_t File::ReadAt(uint64_t address, uint8_t* out, size_t size, std::string* why) const {
  size_t done = 0;
  while (done < size) {
    ssize_t n = pread(descriptor_, out + done, std::min(size - done, kReadBytes), static_cast<off_t>(address + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      *why = std::strerror(errno);
      return -1;
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<int64_t>(done);
}

#if defined(__APPLE__)
unsigned PhysicalCores() {
  int cores = 0;
  size_t size = sizeof cores;
  return sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0) == 0 && cores > 0 ? static_cast<unsigned>(cores) : 0;
}
#else
// The first processor of a core names it: "0-1", "0,64".
unsigned PhysicalCores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (!file) return 0;
    char text[256];
    size_t n = std::fread(text, 1, sizeof text, file);
    std::fclose(file);
    cores.insert(std::string(text, n));
  }
  return static_cast<unsigned>(cores.size());
}
#endif

struct ThreadStart {
  void (*run)(void*);
  void* argument;
};

static void* Enter(void* start) {
  ThreadStart copy = *static_cast<ThreadStart*>(start);
  delete static_cast<ThreadStart*>(start);
  copy.run(copy.argument);
  return nullptr;
}

bool StartThread(void (*run)(void*), void* argument) {
  auto* start = new ThreadStart{run, argument};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  bool started = pthread_create(&thread, &attributes, Enter, start) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) delete start;
  return started;
}

void StayLoaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &self) && self.dli_fname) {
    dlopen(self.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  }
}

#endif

}  // namespace h5z
