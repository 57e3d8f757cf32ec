/* What runs kernels for gpu.c as OpenCL C, on the first device that there is: PoCL's makes the processor one, whose groups have real
 * barriers. The program's arguments are the kernels' source, the compiler's options and the kernels of one direction. Everything
 * that kernels are given is memory shared with the device, so that the batch may hold its addresses, and lies between bytes
 * that nobody may write to. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <h5z/gpu.h>

enum { GUARD = 64, MOST_MEMORIES = 16, MOST_KERNELS = 8 };

static struct {
  cl_context context;
  cl_device_id device;
  cl_command_queue queue;
  cl_kernel kernels[MOST_KERNELS];
  int count;
  void *memory[MOST_MEMORIES]; /* GUARD bytes before what `exactly` gave; NULL = free */
  uint64_t size[MOST_MEMORIES];
} opencl;

static void *must(void *p, const char *what, cl_int status) {
  if (p == NULL || status != CL_SUCCESS) fprintf(stderr, "OpenCL: %s: %d\n", what, status), abort();
  return p;
}
#define DO(call) ((void)must(&opencl, #call, call))

static void *exactly(uint64_t n) {
  int i = 0;
  while (i < MOST_MEMORIES && opencl.memory[i] != NULL) i++;
  if (i == MOST_MEMORIES) fprintf(stderr, "more than %d memories\n", MOST_MEMORIES), abort();
  const cl_svm_mem_flags flags = CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER;
  uint8_t *p = must(clSVMAlloc(opencl.context, flags, n + 2 * GUARD, GUARD), "clSVMAlloc", 0);
  memset(p, 0xa5, n + 2 * GUARD);
  opencl.memory[i] = p, opencl.size[i] = n;
  return p + GUARD;
}

static void leave(void *p) {
  uint8_t *memory = (uint8_t *)p - GUARD;
  for (int i = 0; i < MOST_MEMORIES; i++) {
    if (opencl.memory[i] != memory) continue;
    for (uint64_t k = 0; k < GUARD; k++)
      if (memory[k] != 0xa5 || memory[GUARD + opencl.size[i] + k] != 0xa5)
        fprintf(stderr, "a byte around memory %d changed\n", i), abort();
    clSVMFree(opencl.context, memory);
    opencl.memory[i] = NULL;
    return;
  }
  fprintf(stderr, "no such memory\n"), abort();
}

static char *text_of(const char *path) {
  FILE *f = must(fopen(path, "rb"), path, 0);
  char *text = must(calloc(1, 1 << 20), "memory", 0);
  if (fread(text, 1, (1 << 20) - 1, f) == (1 << 20) - 1) fprintf(stderr, "%s is too long\n", path), abort();
  fclose(f);
  return text;
}

static void start(int argc, char **argv) {
  cl_platform_id platform;
  cl_int status;
  if (argc < 4 || argc - 3 > MOST_KERNELS) fprintf(stderr, "arguments: source options kernels\n"), abort();
  DO(clGetPlatformIDs(1, &platform, NULL));
  DO(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &opencl.device, NULL));
  opencl.context = must(clCreateContext(NULL, 1, &opencl.device, NULL, NULL, &status), "clCreateContext", status);
  opencl.queue = must(clCreateCommandQueueWithProperties(opencl.context, opencl.device, NULL, &status), "queue", status);
  char *source = text_of(argv[1]);
  cl_program program =
      must(clCreateProgramWithSource(opencl.context, 1, (const char **)&source, NULL, &status), argv[1], status);
  status = clBuildProgram(program, 1, &opencl.device, argv[2], NULL, NULL);
  char *log = must(calloc(1, 1 << 20), "memory", 0);
  DO(clGetProgramBuildInfo(program, opencl.device, CL_PROGRAM_BUILD_LOG, (1 << 20) - 1, log, NULL));
  fputs(log, stderr);
  DO(status);
  for (; opencl.count < argc - 3; opencl.count++) {
    const char *name = argv[3 + opencl.count];
    opencl.kernels[opencl.count] = must(clCreateKernel(program, name, &status), name, status);
  }
  free(source), free(log);
}

static void launch(const h5z_gpu_batch *batch, uint32_t groups, uint32_t lanes, uint32_t seed) {
  (void)seed; /* lanes take no turns */
  h5z_gpu_batch *shared = exactly(sizeof *shared);
  *shared = *batch;
  void *memory[MOST_MEMORIES];
  size_t count = 0;
  for (int i = 0; i < MOST_MEMORIES; i++)
    if (opencl.memory[i] != NULL) memory[count++] = opencl.memory[i];
  const size_t all = (size_t)groups * lanes, each = lanes;
  for (int k = 0; k < opencl.count; k++) {
    DO(clSetKernelExecInfo(opencl.kernels[k], CL_KERNEL_EXEC_INFO_SVM_PTRS, count * sizeof *memory, memory));
    DO(clSetKernelArgSVMPointer(opencl.kernels[k], 0, shared));
    DO(clEnqueueNDRangeKernel(opencl.queue, opencl.kernels[k], 1, NULL, &all, &each, 0, NULL, NULL));
  }
  DO(clFinish(opencl.queue));
  leave(shared);
}
