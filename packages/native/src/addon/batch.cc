// batch.cc: whole pipelines for JavaScript: here and now, or as jobs of the pool whose promises settle when they are done.
//
//     JavaScript: Submit -> Pool ... Run ... -> Env::Done, Env::Tell -> JavaScript: Env::Drain settles the promises
//
// Nobody can pull memory from under a running job. JavaScript may transfer an ArrayBuffer away at any time, so that of those
// only two kinds are touched by other threads: outputs that nobody else has yet, and memory of memory.h, which stays where it is
// when it is transferred and is held by the batch meanwhile. Inputs are copied into the job (but for memory of memory.h that the
// caller leaves alone), and what belongs into another
// ArrayBuffer of a caller is decoded into the job and copied on the JavaScript thread. A SharedArrayBuffer cannot be detached: it
// is read and written in place. When an environment ends (process.exit, worker.terminate), its waiting jobs are forgotten and
// the running ones waited for.

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "functions.h"
#include "memory.h"
#include "pipeline.h"
#include "pool.h"
#include "system.h"

namespace h5z {
namespace {

class ChunkJob;

// What one JavaScript thread has of this addon.
class Env final : public Owner {
 public:
  explicit Env(napi_env env);
  static Env* Of(napi_env env) {
    void* data = nullptr;
    napi_get_instance_data(env, &data);
    return static_cast<Env*>(data);
  }
  void Done(std::unique_ptr<Job> job) override;
  void Tell() override;
  void Began();
  // A buffer for a job, which gives it back.
  std::unique_ptr<Buffer> Take();
  // From here on what was made before goes only after running jobs have ended: cleanup hooks run last first.
  void StayFirst();

  Scratch scratch;  // of calls here and now
  bool closed = false;
  bool lends = false;                          // JavaScript takes memory of memory.h
  std::vector<std::unique_ptr<Buffer>> spare;  // what jobs had, for jobs to come

 private:
  static void Drain(napi_env env, napi_value, void* context, void*);
  static void Close(void* self);

  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  size_t under_way_ = 0;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Job>> done_;
  bool woken_ = false;
};

// Memory of memory.h that an ArrayBuffer lies over, wherever it was moved to. Goes back when the buffer was collected and no
// batch writes to it any more.
class Lent {
 public:
  explicit Lent(Region region) : region_(region) {}
  ~Lent() { Memory::Get().Give(region_); }
  uint8_t* data() const { return region_.data; }
  // That which has all of `bytes`, or nullptr.
  static std::shared_ptr<Lent> Of(const Bytes& bytes);
  static void Add(const std::shared_ptr<Lent>& lent);
  static void Remove(const std::shared_ptr<Lent>& lent);

 private:
  Region region_;
};

// All that buffers hold, by address.
struct AllLent {
  static AllLent& Get() {
    static auto* all = new AllLent();
    return *all;
  }
  std::mutex mutex;
  std::map<const uint8_t*, std::shared_ptr<Lent>> by_address;
};

std::shared_ptr<Lent> Lent::Of(const Bytes& bytes) {
  AllLent& all = AllLent::Get();
  std::lock_guard<std::mutex> lock(all.mutex);
  auto next = all.by_address.upper_bound(bytes.data);
  if (bytes.size == 0 || next == all.by_address.begin()) return nullptr;
  const std::shared_ptr<Lent>& lent = (--next)->second;
  const size_t from = static_cast<size_t>(bytes.data - lent->region_.data);
  return from < lent->region_.room && bytes.size <= lent->region_.room - from ? lent : nullptr;
}

void Lent::Add(const std::shared_ptr<Lent>& lent) {
  AllLent& all = AllLent::Get();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.by_address[lent->data()] = lent;
}

void Lent::Remove(const std::shared_ptr<Lent>& lent) {
  AllLent& all = AllLent::Get();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.by_address.erase(lent->data());
}

// A batch: its lane in the pool and the output that its chunks go to.
struct Batch {
  std::shared_ptr<Lane> lane;
  napi_ref into = nullptr;  // a Uint8Array
  Bytes out;                // of it, where threads may write to it
  bool direct = false;
  std::shared_ptr<Lent> lent;  // that `out` lies in, where somebody could transfer it away
  bool unchanged = false;      // nobody writes to inputs before their results are there
};

template <typename T>
napi_value MakeExternal(napi_env env, T* held) {
  napi_value value = nullptr;
  auto release = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
  if (napi_create_external(env, held, release, nullptr, &value) != napi_ok) delete held;
  return value;
}

// A Uint8Array over the first `size` bytes of it, which holds it as long as its buffer lasts; nullptr where the engine takes no
// such memory.
napi_value ArrayOver(napi_env env, const std::shared_ptr<Lent>& lent, size_t size) {
  struct Held {
    std::shared_ptr<Lent> lent;
    bool made = false, gone = false;
  };
  auto* held = new Held{lent};
  // An engine may call this for a buffer that it did not make, too.
  auto back = [](napi_env, void*, void* hint) {
    auto* held = static_cast<Held*>(hint);
    held->gone = true;
    if (!held->made) return;
    Lent::Remove(held->lent);
    delete held;
  };
  napi_value buffer = nullptr, array = nullptr;
  held->made = napi_create_external_arraybuffer(env, lent->data(), size, back, held, &buffer) == napi_ok;
  if (!held->made || held->gone) {
    delete held;
    bool pending = false;
    napi_value thrown;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &thrown);
    return nullptr;
  }
  Lent::Add(lent);
  Env::Of(env)->StayFirst();
  return napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array) == napi_ok ? array : nullptr;
}

napi_value Copied(napi_env env, const uint8_t* data, size_t size) {
  napi_value buffer = nullptr, array = nullptr;
  void* room = nullptr;
  if (napi_create_arraybuffer(env, size, &room, &buffer) != napi_ok) return nullptr;
  if (size) std::memcpy(room, data, size);
  napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array);
  return array;
}

void Set(napi_env env, napi_value object, const char* name, double n) {
  napi_value value;
  if (napi_create_double(env, n, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

// { code, stage, bytes, size, claimed, at, why }: src/host.ts makes the error.
napi_value FailureOf(napi_env env, const Outcome& outcome) {
  napi_value object = nullptr, why;
  if (napi_create_object(env, &object) != napi_ok) return nullptr;
  Set(env, object, "code", static_cast<double>(outcome.n));
  Set(env, object, "stage", outcome.stage);
  Set(env, object, "bytes", outcome.bytes);
  Set(env, object, "size", outcome.size);
  Set(env, object, "claimed", outcome.claimed);
  if (outcome.at >= 0) Set(env, object, "at", outcome.at);
  if (napi_create_string_utf8(env, outcome.why.data(), outcome.why.size(), &why) == napi_ok) {
    napi_set_named_property(env, object, "why", why);
  }
  return object;
}

napi_value EncodedOf(napi_env env, napi_value data, uint32_t mask) {
  napi_value object = nullptr;
  if (!data || napi_create_object(env, &object) != napi_ok) return nullptr;
  napi_set_named_property(env, object, "data", data);
  Set(env, object, "filterMask", mask);
  return object;
}

// Where a part of a chunk goes: [to, from, run, outer, counts..., toSteps..., fromSteps...]. How many of `size` numbers that took,
// 0 where they are not such.
size_t PlacementOf(const double* n, size_t size, Placement* place) {
  if (size < 4 || !(n[3] >= 0 && n[3] <= kMaxRank)) return 0;
  const size_t outer = static_cast<size_t>(n[3]), used = 4 + 3 * outer;
  if (size < used) return 0;
  for (size_t i = 0; i < used; i++) {
    if (!(n[i] >= 0) || n[i] > 9007199254740991.0) return 0;
  }
  place->to = static_cast<size_t>(n[0]);
  place->from = static_cast<size_t>(n[1]);
  place->run = static_cast<size_t>(n[2]);
  place->outer = static_cast<int>(outer);
  for (size_t i = 0; i < outer; i++) {
    place->counts[i] = static_cast<size_t>(n[4 + i]);
    place->to_steps[i] = static_cast<size_t>(n[4 + outer + i]);
    place->from_steps[i] = static_cast<size_t>(n[4 + 2 * outer + i]);
  }
  return used;
}

// The numbers of a Float64Array; nullptr for anything else.
const double* NumbersOf(napi_env env, napi_value value, size_t* size) {
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, size, &data, nullptr, nullptr) != napi_ok || type != napi_float64_array) {
    return nullptr;
  }
  return static_cast<const double*>(data);
}

// A chunk of a run: [address, length, and where it goes], one behind the other. As PlacementOf.
size_t RangeOf(const double* n, size_t size, uint64_t* address, size_t* length, Placement* place) {
  if (size < 2 || !(n[0] >= 0 && n[0] <= 9007199254740991.0) || !(n[1] >= 0 && n[1] <= 4294967295.0)) return 0;
  *address = static_cast<uint64_t>(n[0]), *length = static_cast<size_t>(n[1]);
  const size_t used = PlacementOf(n + 2, size - 2, place);
  return used == 0 ? 0 : 2 + used;
}

// The smallest result that is: below, memory is used again by the engine's allocator. src/memory.ts has the same.
constexpr size_t kLeastLent = 1u << 20;

// Outputs from here on are larger than what caches keep until somebody reads them.
constexpr size_t kPastCaches = 32u << 20;

// Chunks of a run that lie this close in the file are read together, up to so many bytes.
constexpr uint64_t kGap = 4096;
constexpr size_t kWindow = 1u << 20;
// Most bytes of a run, decoded: a JavaScript thread copies them where threads must not write to the output.
constexpr size_t kMostRun = 64u << 20;

// What is to become of a chunk.
enum class Want {
  kNumber,  // decoded into an array that nobody else has
  kArray,   // decoded, of a size that nobody knows beforehand
  kPlaced,  // decoded into the batch's output
  kRun,     // several of a file, there
  kEncoded
};

class ChunkJob final : public Job {
 public:
  bool Run(Scratch& scratch) override;
  // On the JavaScript thread.
  void Settle(napi_env env, Env* mine);

  Want want = Want::kNumber;
  std::shared_ptr<Plan> plan;
  std::shared_ptr<File> file;
  uint64_t address = 0;
  Span in = {nullptr, 0};    // in `copy`, or in shared memory
  Bytes out;                 // kNumber: the array; kPlaced: the batch's output, or nothing
  size_t chunk_size = 0;     // kPlaced, kRun
  Placement place;           // kPlaced
  bool direct = false;       // kPlaced, kRun: straight into the output
  bool detachable = false;   // kPlaced, kRun: which may be transferred away meanwhile
  std::vector<double> run;   // kRun: RangeOf's numbers
  size_t count = 0;          // kRun
  std::unique_ptr<Buffer> copy, result;
  bool lends = false;
  std::shared_ptr<Lent> keep_lent, lent;  // which `in` lies in; the result, where it is large and `lends`
  size_t result_size = 0;
  napi_ref keep_in = nullptr, keep_out = nullptr, into = nullptr;
  napi_deferred deferred = nullptr;
  Outcome outcome;

 private:
  void Fetch(Scratch& scratch);
  void Work(Scratch& scratch);
  void WorkRun(Scratch& scratch);
  // Of scratch.stored: bytes of the file that lie there.
  struct Window {
    uint64_t from = 0;
    size_t have = 0;
    bool Has(uint64_t address, size_t length) const {
      return address >= from && address - from <= have && length <= have - static_cast<size_t>(address - from);
    }
  };
  void FetchRun(Window* window, size_t length, const double* next, size_t left, Scratch& scratch);
  void Put(Scratch& scratch);
  void Keep(Span decoded);
};

void ChunkJob::Fetch(Scratch& scratch) {
  if (!file) return;
  if (!scratch.stored.Reserve(in.size)) {
    outcome.n = H5Z_E_MEMORY;
    return;
  }
  int64_t n = file->ReadAt(address, scratch.stored.data, in.size, &outcome.why);
  if (n != static_cast<int64_t>(in.size)) {
    outcome.n = kReadFailed;
    outcome.bytes = static_cast<double>(n < 0 ? 0 : n);
    return;
  }
  in.data = scratch.stored.data;
}

// What lies in the thread's buffers, for JavaScript to take.
void ChunkJob::Keep(Span decoded) {
  if (outcome.n < 0) return;
  result_size = decoded.size;
  if (lends && decoded.size >= kLeastLent && Memory::Get().Most() > 0) {
    Region region = Memory::Get().Take(decoded.size, false);
    if (region.data) {
      lent = std::make_shared<Lent>(region);
      std::memcpy(region.data, decoded.data, decoded.size);
      return;
    }
  }
  if (!result->Reserve(decoded.size)) {
    outcome.n = H5Z_E_MEMORY;
    return;
  }
  if (decoded.size) std::memcpy(result->data, decoded.data, decoded.size);
}

// What lies in its place already is told of together with what comes after it: to wake JavaScript for each chunk would
// take the processor away from the threads that decode.
bool ChunkJob::Run(Scratch& scratch) {
  if (want == Want::kRun) {
    WorkRun(scratch);
    return direct && outcome.n >= 0;
  }
  Work(scratch);
  return want == Want::kPlaced && direct && outcome.n == static_cast<int64_t>(chunk_size);
}

void ChunkJob::Work(Scratch& scratch) {
  Fetch(scratch);
  if (outcome.n < 0) return;
  Span decoded = {nullptr, 0};
  if (want == Want::kNumber) {
    Decode(*plan, in, out.data, out.size, scratch, &decoded, &outcome);
  } else if (want == Want::kArray) {
    Decode(*plan, in, nullptr, 0, scratch, &decoded, &outcome);
    Keep(decoded);
  } else if (want == Want::kEncoded) {
    Encode(*plan, in, scratch, &decoded, &outcome);
    Keep(decoded);
  } else if (direct) {
    Put(scratch);
  } else {
    if (!result->Reserve(chunk_size)) {
      outcome.n = H5Z_E_MEMORY;
      return;
    }
    Decode(*plan, in, result->data, chunk_size, scratch, &decoded, &outcome);
  }
}

// Decodes `in` straight to its place.
void ChunkJob::Put(Scratch& scratch) {
  Span decoded = {nullptr, 0};
  if (place.outer == 0 && place.run == chunk_size) {
    Decode(*plan, in, out.data + place.to, chunk_size, scratch, &decoded, &outcome);
  } else {
    Decode(*plan, in, nullptr, 0, scratch, &decoded, &outcome);
    if (outcome.n == static_cast<int64_t>(chunk_size)) CopyPlaced(place, decoded.data, out.data, out.size >= kPastCaches);
  }
}

// Reads `length` bytes at `address`, and as much of the `left` chunks that `next` tells of as lies close behind.
void ChunkJob::FetchRun(Window* window, size_t length, const double* next, size_t left, Scratch& scratch) {
  const double* const end = run.data() + run.size();
  uint64_t until = address + length, its_address = 0;
  for (size_t its_length = 0; left > 0; left--) {
    Placement unused;
    next += RangeOf(next, static_cast<size_t>(end - next), &its_address, &its_length, &unused);
    if (its_address < until || its_address - until > kGap || its_address + its_length - address > kWindow) break;
    until = its_address + its_length;
  }
  const size_t wanted = static_cast<size_t>(until - address);
  if (!scratch.stored.Reserve(wanted)) {
    outcome.n = H5Z_E_MEMORY;
    return;
  }
  int64_t n = file->ReadAt(address, scratch.stored.data, wanted, &outcome.why);
  if (n < 0 && wanted > length) {  // what lies behind may be what cannot be read
    outcome.why.clear();
    n = file->ReadAt(address, scratch.stored.data, length, &outcome.why);
  }
  window->from = address, window->have = n < 0 ? 0 : static_cast<size_t>(n);
  if (n >= 0 && window->have >= length) return;
  outcome.n = kReadFailed;
  outcome.bytes = static_cast<double>(window->have);
}

// Up to the first that fails. Without `direct` into `result`, one behind the other.
void ChunkJob::WorkRun(Scratch& scratch) {
  outcome.at = 0;
  if (!scratch.stored.Reserve(1) || (!direct && !result->Reserve(count * chunk_size))) {
    outcome.n = H5Z_E_MEMORY;
    return;
  }
  Window window;
  const double* const end = run.data() + run.size();
  const double* next = run.data();
  for (size_t i = 0; i < count; i++) {
    size_t length = 0;
    outcome.at = static_cast<double>(i);
    next += RangeOf(next, static_cast<size_t>(end - next), &address, &length, &place);
    if (!window.Has(address, length)) FetchRun(&window, length, next, count - i - 1, scratch);
    if (outcome.n < 0) return;
    in = {scratch.stored.data + (address - window.from), length};
    Span decoded = {nullptr, 0};
    if (direct) Put(scratch);
    else Decode(*plan, in, result->data + i * chunk_size, chunk_size, scratch, &decoded, &outcome);
    if (outcome.n < 0) return;
    if (outcome.n != static_cast<int64_t>(chunk_size)) {
      outcome.bytes = static_cast<double>(outcome.n);
      outcome.n = kWrongSize;
      return;
    }
  }
  outcome.n = static_cast<int64_t>(count);
}

void ChunkJob::Settle(napi_env env, Env* mine) {
  if (want == Want::kPlaced && !direct && outcome.n == static_cast<int64_t>(chunk_size)) {
    napi_value array = nullptr;
    napi_get_reference_value(env, into, &array);
    Bytes now = BytesOf(env, array);
    if (now.error || !place.Within(now.size, chunk_size)) {
      outcome.n = kDetached;
    } else {
      CopyPlaced(place, result->data, now.data, now.size >= kPastCaches);
    }
  }
  if (want == Want::kRun && !direct) {
    napi_value array = nullptr;
    napi_get_reference_value(env, into, &array);
    Bytes now = BytesOf(env, array);
    const size_t good = outcome.n < 0 ? static_cast<size_t>(outcome.at) : count;
    const double* next = run.data();
    const double* const end = next + run.size();
    for (size_t i = 0, length = 0; i < good; i++) {
      next += RangeOf(next, static_cast<size_t>(end - next), &address, &length, &place);
      if (now.error || !place.Within(now.size, chunk_size)) {
        outcome.n = kDetached;
        outcome.at = static_cast<double>(i);
        break;
      }
      CopyPlaced(place, result->data + i * chunk_size, now.data, now.size >= kPastCaches);
    }
  }
  if (detachable && outcome.n >= 0) {
    napi_value array = nullptr;
    napi_get_reference_value(env, into, &array);
    if (BytesOf(env, array).error) outcome.n = kDetached, outcome.at = want == Want::kRun ? 0 : -1;
  }
  napi_value value = nullptr;
  if (outcome.n < 0) {
    value = FailureOf(env, outcome);
  } else if (want == Want::kArray || want == Want::kEncoded) {
    if (lent) value = ArrayOver(env, lent, result_size);
    if (!value) value = Copied(env, lent ? lent->data() : result->data, result_size);
    if (want == Want::kEncoded) value = EncodedOf(env, value, outcome.mask);
    if (!value) {
      bool pending = false;
      napi_value thrown;
      if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &thrown);
      outcome.n = H5Z_E_MEMORY;
      value = FailureOf(env, outcome);
    }
  } else {
    napi_create_double(env, static_cast<double>(outcome.n), &value);
  }
  for (napi_ref reference : {keep_in, keep_out}) {
    if (reference) napi_delete_reference(env, reference);
  }
  for (auto* buffer : {&copy, &result}) {
    if (*buffer && mine->spare.size() < 256) mine->spare.push_back(std::move(*buffer));
  }
  if (value) napi_resolve_deferred(env, deferred, value);
}

// ---- one JavaScript thread --------------------------------------------------------------------------------------

Env::Env(napi_env env) : env_(env) {
  napi_value name;
  napi_create_string_utf8(env, "h5z", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &Env::Drain, &wake_);
  napi_unref_threadsafe_function(env, wake_);
  // Added last, runs first: before the function above goes.
  napi_add_env_cleanup_hook(env, &Env::Close, this);
}

void Env::Close(void* self) {
  auto* env = static_cast<Env*>(self);
  env->closed = true;
  Pool::Get().Leave(env);
}

void Env::StayFirst() {
  if (closed) return;
  napi_remove_env_cleanup_hook(env_, &Env::Close, this);
  napi_add_env_cleanup_hook(env_, &Env::Close, this);
}

std::unique_ptr<Buffer> Env::Take() {
  if (spare.empty()) return std::make_unique<Buffer>();
  auto buffer = std::move(spare.back());
  spare.pop_back();
  return buffer;
}

void Env::Began() {
  if (under_way_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Env::Done(std::unique_ptr<Job> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  done_.push_back(std::move(job));
}

void Env::Tell() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (woken_ || done_.empty()) return;
  woken_ = true;
  napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Env::Drain(napi_env env, napi_value, void* context, void*) {
  auto* self = static_cast<Env*>(context);
  if (!env || self->closed) return;  // nobody is there to be told
  std::vector<std::unique_ptr<Job>> jobs;
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    jobs.swap(self->done_);
    self->woken_ = false;
  }
  for (auto& job : jobs) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) continue;
    static_cast<ChunkJob*>(job.get())->Settle(env, self);
    napi_close_handle_scope(env, scope);
    if (--self->under_way_ > 0) continue;
    self->spare.clear();
    napi_unref_threadsafe_function(env, self->wake_);
  }
}

// ---- functions --------------------------------------------------------------------------------------------------

// plan(handles, cdValues, numbers): `numbers` has three for each step: its stage, 1 when optional, its bound or -1.
Napi::Value MakePlan(const Napi::CallbackInfo& info) {
  Arguments<3> a(info, false);
  auto plan = std::make_shared<Plan>();
  Napi::Array handles = info[0].As<Napi::Array>(), words = info[1].As<Napi::Array>();
  Napi::Float64Array numbers = info[2].As<Napi::Float64Array>();
  const uint32_t count = handles.Length();
  if (numbers.ElementLength() < size_t{3} * count) return info.Env().Undefined();
  for (uint32_t i = 0; i < count; i++) {
    void* handle = nullptr;
    napi_get_value_external(a.env, handles.Get(i), &handle);
    if (!handle) return info.Env().Undefined();
    Words cd = WordsOf(a.env, words.Get(i));
    const double bound = numbers[3 * i + 2];
    plan->steps.push_back({static_cast<const h5z_filter*>(handle), std::vector<uint32_t>(cd.data, cd.data + cd.size),
                           static_cast<int>(numbers[3 * i]), numbers[3 * i + 1] != 0,
                           bound < 0 ? -1 : bound > 9007199254740991.0 ? int64_t{1} << 53 : static_cast<int64_t>(bound)});
  }
  return Napi::Value(a.env, MakeExternal(a.env, new std::shared_ptr<Plan>(std::move(plan))));
}

// runDecodeInto(plan, chunk, out): bytes written, or what went wrong.
Napi::Value RunDecodeInto(const Napi::CallbackInfo& info) {
  Arguments<3> a(info, false);
  auto* plan = a.External<std::shared_ptr<Plan>>(0);
  Bytes in = BytesOf(a.env, a.value[1]), out = BytesOf(a.env, a.value[2]);
  Outcome outcome;
  Span result;
  if (!plan) outcome.n = H5Z_E_INTERNAL;
  else if (in.error || out.error) outcome.n = in.error ? in.error : out.error;
  else Decode(**plan, {in.data, in.size}, out.data, out.size, Env::Of(a.env)->scratch, &result, &outcome);
  if (outcome.n >= 0) return Number(a.env, outcome.n);
  return Napi::Value(a.env, FailureOf(a.env, outcome));
}

// runDecode(plan, chunk): a Uint8Array of the size that it turned out to have, or what went wrong.
// runEncode(plan, data): { data, filterMask }, or what went wrong.
template <bool encode>
Napi::Value Run(const Napi::CallbackInfo& info) {
  Arguments<2> a(info, false);
  auto* plan = a.External<std::shared_ptr<Plan>>(0);
  Scratch& scratch = Env::Of(a.env)->scratch;
  Bytes in = BytesOf(a.env, a.value[1]);
  Outcome outcome;
  Span result = {nullptr, 0};
  if (!plan) outcome.n = H5Z_E_INTERNAL;
  else if (in.error) outcome.n = in.error;
  else if (encode) Encode(**plan, {in.data, in.size}, scratch, &result, &outcome);
  else Decode(**plan, {in.data, in.size}, nullptr, 0, scratch, &result, &outcome);
  napi_value value = nullptr;
  if (outcome.n >= 0) {
    value = Copied(a.env, result.data, result.size);
    if (encode) value = EncodedOf(a.env, value, outcome.mask);
  } else {
    value = FailureOf(a.env, outcome);
  }
  scratch.Trim();
  return Napi::Value(a.env, value);
}

// openBatch(threads, into, own, unchanged): `threads` 0 for as many as there are; `into`, a Uint8Array or undefined; `own`, true where
// no one can transfer it away before the batch is closed; `unchanged`, true where nobody changes inputs before their results are
// there.
Napi::Value OpenBatch(const Napi::CallbackInfo& info) {
  Arguments<4> a(info, false);
  auto batch = std::make_unique<Batch>();
  napi_get_value_bool(a.env, a.value[3], &batch->unchanged);
  bool own = false;
  napi_get_value_bool(a.env, a.value[2], &own);
  const double threads = a.Double(0);
  const unsigned limit = threads >= 1 && threads < 1e6 ? static_cast<unsigned>(threads) : ~0u;
  batch->lane = std::make_shared<Lane>();
  batch->lane->owner = Env::Of(a.env);
  batch->lane->limit = limit;
  batch->out = BytesOf(a.env, a.value[1]);
  if (!batch->out.error) {
    if (!own && !batch->out.shared) batch->lent = Lent::Of(batch->out);
    batch->direct = own || batch->out.shared || batch->lent;
    UseLargePages(batch->out.data, batch->out.size);
    napi_create_reference(a.env, a.value[1], 1, &batch->into);
  }
  return Napi::Value(a.env, MakeExternal(a.env, batch.release()));
}

// closeBatch(batch): lets go of the output. No job of the batch may be under way.
void CloseBatch(const Napi::CallbackInfo& info) {
  Arguments<1> a(info, false);
  auto* batch = a.External<Batch>(0);
  if (batch && batch->into) napi_delete_reference(a.env, batch->into);
  if (batch) batch->into = nullptr;
  if (batch) batch->lent = nullptr;
}

// direct(batch): whether threads write straight into its output.
Napi::Value Direct(const Napi::CallbackInfo& info) {
  Arguments<1> a(info, false);
  auto* batch = a.External<Batch>(0);
  return Napi::Boolean::New(info.Env(), batch && batch->direct);
}

// count(object, bytes): so many bytes more to collect garbage for, until `object` is collected.
void Count(const Napi::CallbackInfo& info) {
  Arguments<2> a(info, false);
  const int64_t bytes = static_cast<int64_t>(a.Double(1));
  int64_t now = 0;
  auto gone = [](napi_env env, void*, void* bytes) {
    int64_t now = 0;
    napi_adjust_external_memory(env, -static_cast<int64_t>(reinterpret_cast<intptr_t>(bytes)), &now);
  };
  void* hint = reinterpret_cast<void*>(static_cast<intptr_t>(bytes));
  if (napi_add_finalizer(a.env, a.value[0], nullptr, gone, hint, nullptr) == napi_ok) {
    napi_adjust_external_memory(a.env, bytes, &now);
  }
}

// allocate(bytes, clear): a Uint8Array over memory of memory.h, zeros with `clear`, which goes back when it is collected;
// undefined where the system has no such memory or the engine takes none.
Napi::Value Allocate(const Napi::CallbackInfo& info) {
  Arguments<2> a(info, false);
  const double bytes = a.Double(0);
  bool clear = true;
  napi_get_value_bool(a.env, a.value[1], &clear);
  if (!(bytes >= 1 && bytes <= 9007199254740991.0 && bytes < static_cast<double>(SIZE_MAX))) return info.Env().Undefined();
  const size_t size = static_cast<size_t>(bytes);
  Region region = Memory::Get().Take(size, clear);
  if (!region.data) return info.Env().Undefined();
  return Napi::Value(a.env, ArrayOver(a.env, std::make_shared<Lent>(region), size));
}

// keep(bytes): the most that memory.h keeps for the next array; negative: only asks. What it is now, negative where nobody has
// said. kept(): what is kept.
Napi::Value Keep(const Napi::CallbackInfo& info) {
  Arguments<1> a(info, false);
  const double bytes = a.Double(0);
  if (bytes >= 0) Memory::Get().SetMost(bytes < static_cast<double>(SIZE_MAX) ? static_cast<size_t>(bytes) : SIZE_MAX);
  return Napi::Number::New(info.Env(), Memory::Get().Most());
}

// lend(): from now on large results of this thread's jobs are memory of memory.h, too.
void Lend(const Napi::CallbackInfo& info) { Env::Of(info.Env())->lends = true; }

Napi::Value Kept(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Memory::Get().Kept()));
}

// openFile(path): a handle, or a string that says why not. Closed when the last job that reads from it is gone.
Napi::Value OpenFile(const Napi::CallbackInfo& info) {
  std::string why;
#if defined(_WIN32)
  auto file = File::Open(info[0].As<Napi::String>().Utf16Value(), &why);
#else
  auto file = File::Open(info[0].As<Napi::String>().Utf8Value(), &why);
#endif
  if (!file) return Napi::String::New(info.Env(), why);
  return Napi::Value(info.Env(), MakeExternal(info.Env(), new std::shared_ptr<File>(std::move(file))));
}

// submit(batch, plan, source, address, length, target, size): a promise. `source` is a Uint8Array, or a file's handle of
// which `length` bytes from `address` are read. `target`: a Uint8Array that nobody else has -> bytes written; a Float64Array,
// the place of a chunk of `size` bytes in the batch's output -> bytes decoded; undefined -> a Uint8Array;
// true: encode -> { data, filterMask }. Or what went wrong.
Napi::Value Submit(const Napi::CallbackInfo& info) {
  Arguments<7> a(info, false);
  Env* mine = Env::Of(a.env);
  auto* batch = a.External<Batch>(0);
  auto* plan = a.External<std::shared_ptr<Plan>>(1);
  napi_value promise = nullptr;
  auto job = std::make_unique<ChunkJob>();
  if (napi_create_promise(a.env, &job->deferred, &promise) != napi_ok) return Napi::Value();
  auto fail = [&](int64_t code) {
    job->outcome.n = code;
    napi_resolve_deferred(a.env, job->deferred, FailureOf(a.env, job->outcome));
    return Napi::Value(a.env, promise);
  };
  if (!batch || !plan || mine->closed) return fail(H5Z_E_INTERNAL);
  job->plan = *plan;

  napi_valuetype type = napi_undefined;
  napi_typeof(a.env, a.value[5], &type);
  if (type == napi_boolean) {
    job->want = Want::kEncoded;
  } else if (type == napi_undefined) {
    job->want = Want::kArray;
  } else if (size_t size = 0; const double* numbers = NumbersOf(a.env, a.value[5], &size)) {
    if (PlacementOf(numbers, size, &job->place) == 0) return fail(H5Z_E_INTERNAL);
    job->want = Want::kPlaced;
    job->chunk_size = static_cast<size_t>(a.Double(6));
    job->direct = batch->direct;
    job->detachable = batch->lent != nullptr;
    job->out = batch->out;
    job->into = batch->into;
    if (!batch->into || !job->place.Within(batch->out.size, job->chunk_size)) return fail(H5Z_E_INTERNAL);
  } else {
    job->out = BytesOf(a.env, a.value[5]);
    if (job->out.error) return fail(job->out.error);
  }
  napi_valuetype source = napi_undefined;
  napi_typeof(a.env, a.value[2], &source);
  if (source == napi_external) {
    job->file = *a.External<std::shared_ptr<File>>(2);
    job->address = static_cast<uint64_t>(a.Double(3));
    job->in.size = static_cast<size_t>(a.Double(4));
  } else {
    Bytes in = BytesOf(a.env, a.value[2]);
    if (in.error) return fail(in.error);
    job->in = {in.data, in.size};
    if (in.shared) {
      napi_create_reference(a.env, a.value[2], 1, &job->keep_in);
    } else if (batch->unchanged && (job->keep_lent = Lent::Of(in))) {
      // It stays where it is, wherever its buffer is moved to.
    } else {
      job->copy = mine->Take();
      if (!job->copy->Reserve(in.size)) return fail(H5Z_E_MEMORY);
      if (in.size) std::memcpy(job->copy->data, in.data, in.size);
      job->in.data = job->copy->data;
    }
  }
  if (job->want == Want::kNumber) napi_create_reference(a.env, a.value[5], 1, &job->keep_out);
  else if (!job->direct) job->result = mine->Take();
  job->lends = mine->lends;
  mine->Began();
  Pool::Get().Submit(batch->lane, std::move(job));
  return Napi::Value(a.env, promise);
}

// submitRun(batch, plan, file, numbers, count, size): a promise of `count`, when so many chunks of `size` bytes, whose addresses,
// lengths and places `numbers` has (RangeOf), are decoded to their places in the batch's output; or of what went wrong first,
// and with which.
Napi::Value SubmitRun(const Napi::CallbackInfo& info) {
  Arguments<6> a(info, false);
  Env* mine = Env::Of(a.env);
  auto* batch = a.External<Batch>(0);
  auto* plan = a.External<std::shared_ptr<Plan>>(1);
  auto* file = a.External<std::shared_ptr<File>>(2);
  napi_value promise = nullptr;
  auto job = std::make_unique<ChunkJob>();
  if (napi_create_promise(a.env, &job->deferred, &promise) != napi_ok) return Napi::Value();
  auto fail = [&](int64_t code) {
    job->outcome.n = code;
    job->outcome.at = 0;
    napi_resolve_deferred(a.env, job->deferred, FailureOf(a.env, job->outcome));
    return Napi::Value(a.env, promise);
  };
  size_t size = 0;
  const double* numbers = NumbersOf(a.env, a.value[3], &size);
  const double count = a.Double(4);
  const double chunk_size = a.Double(5);
  if (!batch || !plan || !file || mine->closed || !batch->into || !numbers || !(count >= 0 && chunk_size >= 0) ||
      count * chunk_size > static_cast<double>(kMostRun)) {
    return fail(H5Z_E_INTERNAL);
  }
  job->want = Want::kRun;
  job->plan = *plan;
  job->file = *file;
  job->out = batch->out;
  job->into = batch->into;
  job->direct = batch->direct;
  if (!job->direct) job->result = mine->Take();
  job->detachable = batch->lent != nullptr;
  job->chunk_size = static_cast<size_t>(chunk_size);
  job->run.assign(numbers, numbers + size);
  size_t used = 0;
  for (; static_cast<double>(job->count) < count; job->count++) {
    size_t length = 0;
    const size_t more = RangeOf(job->run.data() + used, size - used, &job->address, &length, &job->place);
    if (more == 0 || !job->place.Within(batch->out.size, job->chunk_size)) return fail(H5Z_E_INTERNAL);
    used += more;
  }
  mine->Began();
  Pool::Get().Submit(batch->lane, std::move(job));
  return Napi::Value(a.env, promise);
}

// threads(): how many the pool may have. setThreads(n).
Napi::Value Threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), Pool::Get().Threads()); }

void SetThreads(const Napi::CallbackInfo& info) {
  Arguments<1> a(info, false);
  Pool::Get().SetThreads(static_cast<unsigned>(a.Double(0)));
}

}  // namespace

void InitBatch(Napi::Env env, Napi::Object exports) {
  auto release = [](napi_env, void* data, void*) { delete static_cast<Env*>(data); };
  napi_set_instance_data(env, new Env(env), release, nullptr);
  exports.Set("plan", Napi::Function::New<MakePlan>(env, "plan"));
  exports.Set("runDecodeInto", Napi::Function::New<RunDecodeInto>(env, "runDecodeInto"));
  exports.Set("runDecode", Napi::Function::New<Run<false>>(env, "runDecode"));
  exports.Set("runEncode", Napi::Function::New<Run<true>>(env, "runEncode"));
  exports.Set("openBatch", Napi::Function::New<OpenBatch>(env, "openBatch"));
  exports.Set("direct", Napi::Function::New<Direct>(env, "direct"));
  exports.Set("closeBatch", Napi::Function::New<CloseBatch>(env, "closeBatch"));
  exports.Set("count", Napi::Function::New<Count>(env, "count"));
  exports.Set("allocate", Napi::Function::New<Allocate>(env, "allocate"));
  exports.Set("keep", Napi::Function::New<Keep>(env, "keep"));
  exports.Set("lend", Napi::Function::New<Lend>(env, "lend"));
  exports.Set("kept", Napi::Function::New<Kept>(env, "kept"));
  exports.Set("openFile", Napi::Function::New<OpenFile>(env, "openFile"));
  exports.Set("submit", Napi::Function::New<Submit>(env, "submit"));
  exports.Set("submitRun", Napi::Function::New<SubmitRun>(env, "submitRun"));
  exports.Set("threads", Napi::Function::New<Threads>(env, "threads"));
  exports.Set("setThreads", Napi::Function::New<SetThreads>(env, "setThreads"));
}

}  // namespace h5z
