/* gpu_ranks.h: gpu_block.h for blocks of 4, 4x4, 4x4x4 and 4x4x4x4 values of the width that gpu.c just named. */
#define RANK 1
#include "gpu_block.h"
#undef RANK
#define RANK 2
#include "gpu_block.h"
#undef RANK
#define RANK 3
#include "gpu_block.h"
#undef RANK
#define RANK 4
#include "gpu_block.h"
#undef RANK
