/* match.c: lib/blosc's copy of an earlier match, for every distance, length and room behind it, held to a loop over bytes in
 * memory of exactly that room. Test-only; AddressSanitizer sees what is written beyond. */
#include <blosc/codecs.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  static const size_t rooms[] = {0, 1, 15, 16, 31, 32, 40, 64};
  for (size_t distance = 1; distance <= 40; distance++)
    for (size_t length = 1; length <= 700; length += length < 300 ? 1 : 37)
      for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        const size_t room = length + rooms[i];
        uint8_t *bytes = malloc(distance + room), *expected = malloc(distance + length);
        if (!bytes || !expected) return 2;
        for (size_t k = 0; k < distance; k++) bytes[k] = expected[k] = (uint8_t)(k * 37 + 11 + distance);
        for (size_t k = 0; k < length; k++) expected[distance + k] = expected[k];
        copy_match(bytes + distance, distance, length, room);
        if (memcmp(bytes, expected, distance + length) != 0) {
          printf("distance %zu, length %zu, room %zu: other bytes\n", distance, length, room);
          return 1;
        }
        free(bytes), free(expected);
      }
  puts("every match is copied");
  return 0;
}
