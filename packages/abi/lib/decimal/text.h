/* text.h: numbers as text and back, exactly as JavaScript has them: digits -> nearest double, double -> fewest digits that
 * read back as it. strtod and printf obey the locale and differ between C libraries; a parameter string means one number.
 *
 * Both ways are long arithmetic on whole numbers, so that every result is right and none depends on the processor. Slower
 * than the usual tricks, for text that people write; text of any length takes time in proportion to it.
 */
#ifndef DECIMAL_TEXT_H
#define DECIMAL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A whole number from 0 up, lowest word first. The largest is 10^1100 or 2^1080, times what aligning takes: 3800 bits. */
enum { NATURAL_WORDS = 128 };
typedef struct {
  uint32_t word[NATURAL_WORDS];
  int words; /* without zeros on top */
} natural;

static void natural_set(natural *a, uint64_t value) {
  a->word[0] = (uint32_t)value, a->word[1] = (uint32_t)(value >> 32);
  a->words = value >> 32 ? 2 : value ? 1 : 0;
}

/* a = a * factor + more */
static void natural_scale(natural *a, uint32_t factor, uint32_t more) {
  uint64_t carry = more;
  for (int i = 0; i < a->words; i++) {
    carry += (uint64_t)a->word[i] * factor;
    a->word[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry && a->words < NATURAL_WORDS) a->word[a->words++] = (uint32_t)carry;
}

static void natural_tens(natural *a, int64_t power) {
  for (; power >= 9; power -= 9) natural_scale(a, 1000000000, 0);
  for (; power > 0; power--) natural_scale(a, 10, 0);
}

static void natural_shift(natural *a, int bits) {
  const int words = bits / 32;
  if (a->words == 0 || a->words + words > NATURAL_WORDS) return;
  if (bits % 32) natural_scale(a, UINT32_C(1) << bits % 32, 0);
  if (words == 0 || a->words + words > NATURAL_WORDS) return;
  memmove(a->word + words, a->word, (size_t)a->words * sizeof *a->word);
  memset(a->word, 0, (size_t)words * sizeof *a->word);
  a->words += words;
}

static int natural_compare(const natural *a, const natural *b) {
  if (a->words != b->words) return a->words < b->words ? -1 : 1;
  for (int i = a->words; i-- > 0;)
    if (a->word[i] != b->word[i]) return a->word[i] < b->word[i] ? -1 : 1;
  return 0;
}

/* a = a + b, and a = a - b where a >= b */
static void natural_add(natural *a, const natural *b) {
  uint64_t carry = 0;
  for (int i = 0; i < b->words || (carry && i < NATURAL_WORDS); i++) {
    if (i == a->words) a->word[a->words++] = 0;
    carry += (uint64_t)a->word[i] + (i < b->words ? b->word[i] : 0);
    a->word[i] = (uint32_t)carry;
    carry >>= 32;
  }
}
static void natural_subtract(natural *a, const natural *b) {
  uint64_t borrow = 0;
  for (int i = 0; i < a->words; i++) {
    const uint64_t take = (i < b->words ? b->word[i] : 0) + borrow;
    borrow = a->word[i] < take;
    a->word[i] = (uint32_t)(a->word[i] - take);
  }
  while (a->words > 0 && a->word[a->words - 1] == 0) a->words--;
}

static int natural_bits(const natural *a) {
  int bits = 32 * a->words;
  for (uint32_t top = a->words ? a->word[a->words - 1] : 0; bits > 0 && !(top >> 31); top <<= 1) bits--;
  return bits;
}

static double decimal_from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static uint64_t decimal_to_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* The double nearest to (top + more) * 2^(exponent - 63), where bit 63 of top is set and more, in [0, 1), is 0 or not;
 * the even one of two. */
static double decimal_round(uint64_t top, int more, int64_t exponent) {
  if (exponent > 1023) return decimal_from_bits(UINT64_C(2047) << 52);
  const int drop = exponent >= -1022 ? 11 : exponent < -1076 ? 65 : (int)(11 - 1022 - exponent);
  if (drop > 64) return 0;
  uint64_t kept = drop == 64 ? 0 : top >> drop;
  const uint64_t rest = top << (64 - drop), half = UINT64_C(1) << 63;
  if (rest > half || (rest == half && (more || (kept & 1)))) kept++;
  /* A carry goes over into the exponent, as it must. */
  return decimal_from_bits(exponent >= -1022 ? kept + ((uint64_t)(exponent + 1022) << 52) : kept);
}

/* Text without a sign: digits ['.' digits] [('e' | 'E') [sign] digits], with '_' anywhere; the caller has checked that. */
static double decimal_parse(const char *text, size_t length) {
  enum { MOST = 770 }; /* more digits than lie between two doubles and their middle: the rest is "and a bit" */
  natural a, b;
  natural_set(&a, 0);
  int64_t point = 0; /* value = a * 10^point */
  int digits = 0, more = 0, fraction = 0;
  size_t i = 0;
  for (; i < length && text[i] != 'e' && text[i] != 'E'; i++) {
    const char c = text[i];
    if (c == '.') fraction = 1;
    if (c < '0' || c > '9') continue;
    if (digits < MOST) {
      natural_scale(&a, 10, (uint32_t)(c - '0'));
      if (a.words > 0) digits++;
      if (fraction) point--;
    } else {
      more |= c != '0';
      if (!fraction) point++;
    }
  }
  int64_t exponent = 0;
  const int negative = i + 1 < length && text[i + 1] == '-';
  for (; i < length; i++)
    if (text[i] >= '0' && text[i] <= '9' && exponent < INT64_C(1) << 56) exponent = exponent * 10 + (text[i] - '0');
  point += negative ? -exponent : exponent;
  if (a.words == 0 || digits + point < -330) return 0;
  if (digits + point > 310) return decimal_from_bits(UINT64_C(2047) << 52);
  if (more) natural_scale(&a, 10, 1), point--;

  natural_set(&b, 1);
  natural_tens(point < 0 ? &b : &a, point < 0 ? -point : point);
  int shift = natural_bits(&a) - natural_bits(&b);
  natural_shift(shift < 0 ? &a : &b, shift < 0 ? -shift : shift);
  if (natural_compare(&a, &b) < 0) natural_shift(&a, 1), shift--;
  uint64_t top = 0; /* a / b is in [1, 2) now: 64 bits of it */
  for (int bit = 0; bit < 64; bit++) {
    top <<= 1;
    if (natural_compare(&a, &b) >= 0) natural_subtract(&a, &b), top |= 1;
    natural_shift(&a, 1);
  }
  return decimal_round(top, a.words > 0, shift);
}

/* Digits of 1, 3 or 4 bits (base 2, 8, 16), with '_' between. */
static double decimal_parse_binary(const char *text, size_t length, int bits) {
  uint64_t top = 0;
  int more = 0;
  int64_t exponent = 63;
  for (size_t i = 0; i < length; i++) {
    const char c = text[i];
    if (c == '_') continue;
    const uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    if (top >> 60) more |= digit != 0, exponent += bits;
    else top = top << bits | digit;
  }
  if (top == 0) return 0;
  for (; !(top >> 63); top <<= 1) exponent--;
  return decimal_round(top, more, exponent);
}

/* Most bytes that decimal_print writes: "-2.2250738585072014e-308". */
enum { DECIMAL_PRINT_MAX = 26 };

/* The fewest digits between the middles to both neighbours (Steele and White, Dragon4), the nearest of those, in
 * JavaScript's form. Returns the number of bytes. Infinite: "Infinity"; not a number: "NaN". */
static size_t decimal_print(double value, char text[DECIMAL_PRINT_MAX]) {
  const uint64_t bits = decimal_to_bits(value), fraction = bits & ((UINT64_C(1) << 52) - 1);
  const int biased = (int)(bits >> 52 & 2047);
  char *p = text;
  if (biased == 2047 && fraction) return memcpy(text, "NaN", 3), 3;
  if (bits << 1 == 0) return *text = '0', 1;
  if (bits >> 63) *p++ = '-';
  if (biased == 2047) return memcpy(p, "Infinity", 8), (size_t)(p + 8 - text);

  /* value = r / s * 10^point; down / s and up / s are the halves of the distances to the neighbours */
  const uint64_t whole = biased ? fraction | UINT64_C(1) << 52 : fraction;
  const int exponent = (biased ? biased : 1) - 1075, even = !(fraction & 1);
  const int narrow = biased > 1 && fraction == 0; /* the neighbour below is half as far as the one above */
  natural r, s, up, down, sum;
  natural_set(&r, whole), natural_set(&s, 1), natural_set(&up, 1), natural_set(&down, 1);
  natural_shift(&r, 1 + narrow + (exponent > 0 ? exponent : 0));
  natural_shift(&s, 1 + narrow + (exponent < 0 ? -exponent : 0));
  natural_shift(&up, narrow + (exponent > 0 ? exponent : 0));
  natural_shift(&down, exponent > 0 ? exponent : 0);
  int width = 0;
  for (uint64_t w = whole; w; w >>= 1) width++;
  /* log10(2), rounded towards 0 for small and away from it for large: never too large, at most 1 too small */
  int point = (int)(((int64_t)(exponent + width - 1) * (exponent + width - 1 < 0 ? 30103 : 30102)) / 100000);
  if (point >= 0) natural_tens(&s, point);
  else natural_tens(&r, -point), natural_tens(&up, -point), natural_tens(&down, -point);
  for (;; point++) { /* until value's upper middle is below 10^point */
    sum = r, natural_add(&sum, &up);
    const int over = natural_compare(&sum, &s);
    if (even ? over < 0 : over <= 0) break;
    natural_scale(&s, 10, 0);
  }
  char digit[20];
  int digits = 0;
  for (;;) {
    natural_scale(&r, 10, 0), natural_scale(&up, 10, 0), natural_scale(&down, 10, 0);
    int d = 0;
    for (; natural_compare(&r, &s) >= 0; d++) natural_subtract(&r, &s);
    sum = r, natural_add(&sum, &up);
    const int below = natural_compare(&r, &down), above = natural_compare(&sum, &s);
    const int low = even ? below <= 0 : below < 0, high = even ? above >= 0 : above > 0;
    if (low || high || digits == 17) {
      natural_shift(&r, 1);
      const int half = natural_compare(&r, &s);
      if (low && high ? half > 0 || (half == 0 && (d & 1)) : high) d++;
      digit[digits++] = (char)('0' + d);
      break;
    }
    digit[digits++] = (char)('0' + d);
  }

  const int scientific = point < -5 || point > 21, exponent10 = point - 1;
  if (!scientific && point <= 0) {
    *p++ = '0', *p++ = '.';
    for (int i = point; i < 0; i++) *p++ = '0';
  }
  for (int i = 0; i < digits; i++) {
    if (i > 0 && i == (scientific ? 1 : point)) *p++ = '.';
    *p++ = digit[i];
  }
  for (int i = digits; !scientific && i < point; i++) *p++ = '0';
  if (scientific) {
    unsigned n = (unsigned)(exponent10 < 0 ? -exponent10 : exponent10);
    *p++ = 'e', *p++ = exponent10 < 0 ? '-' : '+';
    if (n >= 100) *p++ = (char)('0' + n / 100);
    if (n >= 10) *p++ = (char)('0' + n / 10 % 10);
    *p++ = (char)('0' + n % 10);
  }
  return (size_t)(p - text);
}

#endif
