/* each_rank.h: decode_block.h for blocks of 4, 4x4, 4x4x4 and 4x4x4x4 values of the type that decode.c just named. */
#define RANK 1
#include "decode_block.h"
#undef RANK
#define RANK 2
#include "decode_block.h"
#undef RANK
#define RANK 3
#include "decode_block.h"
#undef RANK
#define RANK 4
#include "decode_block.h"
#undef RANK
