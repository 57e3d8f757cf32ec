/* params.c: the parameter string of HDF5's coming string API, text -> client cd_values and back, by the table that the
 * build makes of filter.json. Linked into native libraries, whose h5z_filter_v1() table shows both functions; the same as
 * parseParameterString, toClientValues, fromStoredValues and parameterString of @h5z/core, to the letter of the errors.
 *
 *     level = 9                                    [9]
 *     mode = "accuracy", tolerance = 1e-3   <->    [3, 0, 0xd2f1a9fc, 0x3f50624d]
 *
 *     string = [ pair { ( "," | newline ) pair } ]
 *     pair   = key "=" value           key: bare (A-Z a-z 0-9 _ -) or a string
 *     value  = true | false | integer (_ between digits, 0x 0o 0b) | float (inf and nan too) | "basic" | 'literal'
 *
 * Text may be anything: it is read once from front to back and never copied, nothing is allocated, and what is kept of it
 * is a number and a place for each parameter of the table.
 */
#include <h5z/filter.h>

#include <decimal/text.h>

/* ---- the table, written by ./farm into the identity header (packages/farm/src/identity.ts) ----------------------- */

enum { INTEGER, NUMBER, BOOLEAN, ENUM };
enum { NOWHERE, UINT32, INT32, BOOL, FLOAT64_LE, FLOAT64_BE, BITS, FIXED, LOG2 };
enum { MINIMUM = 1, MAXIMUM = 2, ABOVE = 4, BELOW = 8, DEFAULT = 16, OMITTABLE = 32 };

typedef struct {
  uint16_t word;
  uint8_t as, shift, width, fraction;
} place;

typedef struct { /* a word of an enum */
  const char *text;
  uint32_t number;
} enum_word;

typedef struct { /* of several in a row for the same parameter, one must hold */
  uint16_t parameter;
  double value;
} condition;

/* Values are doubles: a boolean 0 or 1, an enum the index of its word. */
typedef struct {
  const char *name;
  uint8_t type, has;
  place client, stored; /* stored.as NOWHERE: the same as client, of what `restore` gives */
  uint16_t first_word, words, first_condition, conditions;
  double value, minimum, maximum, above, below, multiple; /* value: the default */
} parameter;

#ifndef H5Z_FILTER_PARAMETERS
#  define H5Z_FILTER_PARAMETERS
#  define H5Z_FILTER_PARAMETER_WORDS
#  define H5Z_FILTER_PARAMETER_CONDITIONS
#  define H5Z_FILTER_CLIENT_WORDS 0
#endif
static const parameter TABLE[] = {H5Z_FILTER_PARAMETERS{0}};
static const enum_word WORDS[] = {H5Z_FILTER_PARAMETER_WORDS{0}};
static const condition CONDITIONS[] = {H5Z_FILTER_PARAMETER_CONDITIONS{0}};
enum { COUNT = sizeof TABLE / sizeof *TABLE - 1 };

/* ---- text going out: as much as fits, and how long it would have been ------------------------------------------- */

typedef struct {
  char *text;
  size_t cap, length;
} output;

static void put_bytes(output *o, const char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++, o->length++)
    if (o->length < o->cap) o->text[o->length] = bytes[i];
}
static void put(output *o, const char *text) { put_bytes(o, text, strlen(text)); }
static void put_number(output *o, double value) {
  char text[DECIMAL_PRINT_MAX];
  put_bytes(o, text, decimal_print(value, text));
}

/* A value of `p` as messages show it; a number that no word stands for is `value` itself where `raw`. */
static void put_value(output *o, const parameter *p, double value, int raw) {
  if (p->type == BOOLEAN) {
    put(o, value != 0 ? "true" : "false");
  } else if (p->type == ENUM && !raw) {
    put(o, "\""), put(o, WORDS[p->first_word + (size_t)value].text), put(o, "\"");
  } else {
    put_number(o, value);
  }
}

/* "an integer from 0 to 9", as describeRange of @h5z/core says it. */
static void put_range(output *o, const parameter *p) {
  if (p->type == BOOLEAN) {
    put(o, "true or false");
  } else if (p->type == ENUM) {
    for (uint16_t w = 0; w < p->words; w++) {
      if (w > 0) put(o, ", ");
      put_value(o, p, w, 0);
    }
  } else {
    const int low = p->has & (MINIMUM | ABOVE), high = p->has & (MAXIMUM | BELOW);
    const double least = p->has & MINIMUM ? p->minimum : p->above, most = p->has & MAXIMUM ? p->maximum : p->below;
    put(o, p->type == INTEGER ? "an integer" : "a number");
    if (low) {
      put(o, high ? p->has & MINIMUM ? " from " : " from above " : p->has & MINIMUM ? " of at least " : " above ");
      put_number(o, least);
    }
    if (high) {
      put(o, low ? p->has & MAXIMUM ? " to " : " to below " : p->has & MAXIMUM ? " of at most " : " below ");
      put_number(o, most);
    }
    if (p->multiple != 0 && p->multiple != 1) put(o, ", a multiple of "), put_number(o, p->multiple);
  }
}

/* ---- reading text ------------------------------------------------------------------------------------------------ */

typedef struct {
  const char *text;
  size_t length, at;
  output *why;
} reader;

/* The byte here, or -1 at the end. */
static int here(const reader *r) { return r->at < r->length ? (unsigned char)r->text[r->at] : -1; }
static int is_digit(int c) { return c >= '0' && c <= '9'; }
static int is_bare(int c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-'; }
static int is_word(int c) { return is_bare(c) || c == '.' || c == '+'; }
static int is_blank(int c) { return c == ' ' || c == '\t'; }
static int is_space(int c) { return is_blank(c) || c == '\r' || c == '\n'; }
static int is_quote(int c) { return c == '"' || c == '\''; }
static int hex(int c) {
  if (is_digit(c)) return c - '0';
  const int letter = c | 32;
  return c > 0 && letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static void skip(reader *r, int (*matches)(int)) {
  while (matches(here(r))) r->at++;
}

/* "zstd: at character 9 of its parameters: ". Characters are counted in UTF-16, as JavaScript and editors do. */
static output *complain(const reader *r, size_t at) {
  size_t character = 1;
  for (size_t i = 0; i < at; i++) {
    const unsigned char c = (unsigned char)r->text[i];
    character += ((c & 0xc0) != 0x80) + (c >= 0xf0);
  }
  put(r->why, H5Z_FILTER_NAME ": at character "), put_number(r->why, (double)character);
  put(r->why, " of its parameters: ");
  return r->why;
}
static int complaint(const reader *r, size_t at, const char *sentence) {
  put(complain(r, at), sentence);
  return H5Z_E_PARAM;
}

static size_t put_utf8(char out[4], uint32_t c) {
  if (c < 0x80) return out[0] = (char)c, 1;
  const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)(0xf00 >> n | c);
  return n;
}

/* Behind a backslash: how many bytes the character takes that the escape stands for; 0 when it stands for none. */
static size_t read_escape(reader *r, char out[4]) {
  static const char FROM[] = "btnfr\"\\", TO[] = "\b\t\n\f\r\"\\";
  const int c = here(r);
  const char *simple = c > 0 ? memchr(FROM, c, sizeof FROM - 1) : NULL;
  if (c >= 0) r->at++;
  if (simple) return *out = TO[simple - FROM], 1;
  uint32_t code = 0;
  int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) return 0;
  for (; digits > 0; digits--, r->at++) {
    const int digit = hex(here(r));
    if (digit < 0) return 0;
    code = code << 4 | (uint32_t)digit;
  }
  return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : put_utf8(out, code);
}

/* Inside a string: the next piece of its content in `out`, 0 at its end, behind the quote, or a negative code. */
static int read_piece(reader *r, size_t start, char out[4]) {
  const int quote = r->text[start], c = here(r);
  if (c < 0 || c == '\n')
    return complaint(r, start, quote == '"' ? "a string has no end; close it with \"" : "a string has no end; close it with '");
  if ((c < ' ' && c != '\t') || c == 0x7f)
    return complaint(r, r->at, "a string holds a control character; write it as \\u and four digits");
  r->at++;
  if (c == quote) return 0;
  if (c != '\\' || quote != '"') return *out = (char)c, 1;
  const size_t at = r->at - 1, n = read_escape(r, out);
  if (n > 0) return (int)n;
  return complaint(r, at, "a string holds an unknown escape; use \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX or \\UXXXXXXXX");
}

/* Reads the string or bare word here. What is not NULL: its content goes to `copy`, and `*same` says if it is `wanted`. */
static int read_text(reader *r, output *copy, const char *wanted, int *same) {
  const size_t start = r->at;
  const int quoted = is_quote(here(r));
  size_t length = 0, expected = wanted ? strlen(wanted) : 0;
  int equal = 1;
  if (quoted) r->at++;
  for (;;) {
    char piece[4];
    int n;
    if (quoted) n = read_piece(r, start, piece);
    else if (is_bare(here(r))) *piece = r->text[r->at++], n = 1;
    else n = 0;
    if (n < 0) return n;
    if (n == 0) break;
    if (equal) equal = length + (size_t)n <= expected && memcmp(wanted + length, piece, (size_t)n) == 0;
    length += (size_t)n;
    for (int i = 0; copy && i < n; i++) put_bytes(copy, piece[i] ? piece + i : "?", 1); /* messages are C strings */
  }
  if (same) *same = equal && length == expected;
  return 0;
}

/* Text that has been read without an error, again. */
static int is_text(const reader *r, size_t at, const char *wanted) {
  reader again = {r->text, r->length, at, NULL};
  int same = 0;
  read_text(&again, NULL, wanted, &same);
  return same;
}
static void put_text(const reader *r, output *o, size_t at) {
  reader again = {r->text, r->length, at, NULL};
  read_text(&again, o, NULL, NULL);
}

/* Digits with single '_' between them, from `start`: where they end. */
static size_t digits_of(const char *word, size_t n, size_t start, int base) {
  size_t end = start;
  for (size_t i = start; i < n; i++) {
    const int digit = hex(word[i]);
    if (digit >= 0 && digit < base) end = i + 1;
    else if (word[i] != '_' || i == start || end != i) break;
  }
  return end;
}

typedef struct {
  enum { GIVEN_NOT, GIVEN_BOOLEAN, GIVEN_INTEGER, GIVEN_FLOAT, GIVEN_TEXT } kind;
  double number; /* or 0, 1 for a boolean */
  size_t at;     /* where text begins */
} given;

/* A number of TOML. Returns 0 when the word is none. */
static int read_number(const char *word, size_t n, given *value) {
  if (n > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'o' || word[1] == 'b')) {
    const int bits = word[1] == 'x' ? 4 : word[1] == 'o' ? 3 : 1;
    if (digits_of(word, n, 2, 1 << bits) != n) return 0;
    value->kind = GIVEN_INTEGER, value->number = decimal_parse_binary(word + 2, n - 2, bits);
    return 1;
  }
  const int negative = n > 0 && word[0] == '-';
  const size_t first = n > 0 && (word[0] == '-' || word[0] == '+');
  size_t end = digits_of(word, n, first, 10);
  double number;
  if (n - first == 3 && memcmp(word + first, "inf", 3) == 0) {
    value->kind = GIVEN_FLOAT, number = decimal_from_bits(UINT64_C(2047) << 52);
  } else if (n - first == 3 && memcmp(word + first, "nan", 3) == 0) {
    value->kind = GIVEN_FLOAT, number = decimal_from_bits(UINT64_C(4095) << 51);
  } else {
    if (end == first || !is_digit(word[first]) || (word[first] == '0' && end > first + 1)) return 0;
    value->kind = end == n ? GIVEN_INTEGER : GIVEN_FLOAT;
    if (end < n && word[end] == '.') {
      const size_t point = end + 1;
      if (point == n || !is_digit(word[point])) return 0;
      end = digits_of(word, n, point, 10);
    }
    if (end < n && (word[end] == 'e' || word[end] == 'E')) {
      size_t power = end + 1;
      if (power < n && (word[power] == '-' || word[power] == '+')) power++;
      if (power == n || !is_digit(word[power])) return 0;
      end = digits_of(word, n, power, 10);
    }
    if (end != n) return 0;
    number = decimal_parse(word + first, n - first);
  }
  value->number = negative ? -number : number;
  return 1;
}

static int read_value(reader *r, size_t key, given *value) {
  value->at = r->at;
  if (is_quote(here(r))) {
    value->kind = GIVEN_TEXT;
    return read_text(r, NULL, NULL, NULL);
  }
  skip(r, is_word);
  const char *word = r->text + value->at;
  const size_t n = r->at - value->at;
  if ((n == 4 && memcmp(word, "true", 4) == 0) || (n == 5 && memcmp(word, "false", 5) == 0)) {
    value->kind = GIVEN_BOOLEAN, value->number = n == 4;
    return 0;
  }
  if (n > 0 && read_number(word, n, value)) return 0;
  output *why = complain(r, value->at);
  if (n == 0) put(why, "the value of \""), put_text(r, why, key), put(why, "\" is missing");
  else put(why, "\""), put_bytes(why, word, n), put(why, "\" is no value");
  put(why, "; use a number, true, false, or a word in quotes");
  return H5Z_E_PARAM;
}

static int fits(const parameter *p, const given *value) {
  if (p->type == BOOLEAN) return value->kind == GIVEN_BOOLEAN;
  if (p->type == ENUM) return value->kind == GIVEN_TEXT;
  return value->kind == GIVEN_INTEGER || (value->kind == GIVEN_FLOAT && p->type == NUMBER);
}

/* key = value: which parameter it is, and what is wrong with it so far. */
static int take_pair(reader *r, size_t key, const given *value, given options[COUNT + 1]) {
  static const char *const TYPE[] = {"integer", "number", "boolean", "word in quotes"};
  size_t i = 0;
  while (i != COUNT && !is_text(r, key, TABLE[i].name)) i++;
  const parameter *p = &TABLE[i];
  if (i != COUNT && options[i].kind == GIVEN_NOT && fits(p, value)) {
    options[i] = *value;
    return 0;
  }
  const int known = i != COUNT, twice = known && options[i].kind != GIVEN_NOT;
  output *why = complain(r, known && !twice ? value->at : key);
  put(why, "\""), put_text(r, why, key);
  if (twice) {
    put(why, "\" is there twice; give it once");
  } else if (known) {
    put(why, "\" is no "), put(why, TYPE[p->type]), put(why, "; use "), put_range(why, p);
  } else {
    put(why, "\" is no parameter of " H5Z_FILTER_NAME "; its parameters are ");
    for (size_t k = 0; k != COUNT; k++) put(why, k > 0 ? ", " : ""), put(why, TABLE[k].name);
    if (COUNT == 0) put(why, "none");
  }
  return H5Z_E_PARAM;
}

static int read_pairs(reader *r, given options[COUNT + 1]) {
  skip(r, is_space);
  while (r->at < r->length) {
    const size_t key = r->at;
    int code = is_quote(here(r)) || is_bare(here(r)) ? read_text(r, NULL, NULL, NULL)
                                                     : complaint(r, key, "a name is missing; write name = value, and commas between");
    if (code < 0) return code;
    skip(r, is_blank);
    if (here(r) != '=') {
      output *why = complain(r, r->at);
      put(why, "\"=\" is missing after \""), put_text(r, why, key), put(why, "\"; write name = value");
      return H5Z_E_PARAM;
    }
    r->at++;
    skip(r, is_blank);
    given value = {GIVEN_NOT, 0, 0};
    if ((code = read_value(r, key, &value)) < 0 || (code = take_pair(r, key, &value, options)) < 0) return code;
    while (is_blank(here(r)) || here(r) == '\r') r->at++;
    const size_t end = r->at;
    const int separator = here(r);
    if (separator < 0) return 0;
    if (separator != ',' && separator != '\n') {
      output *why = complain(r, end);
      put(why, "a comma is missing after \""), put_text(r, why, key), put(why, "\"; write a comma between parameters");
      return H5Z_E_PARAM;
    }
    r->at++;
    skip(r, is_space);
    if (separator == ',' && r->at == r->length) return complaint(r, end, "nothing follows the comma; leave it out");
  }
  return 0;
}

/* ---- words and numbers ------------------------------------------------------------------------------------------- */

/* 2^exponent */
static double power_of_two(int64_t exponent) {
  if (exponent > 1023) return decimal_from_bits(UINT64_C(2047) << 52);
  if (exponent >= -1022) return decimal_from_bits((uint64_t)(exponent + 1023) << 52);
  return exponent < -1074 ? 0 : decimal_from_bits(UINT64_C(1) << (exponent + 1074));
}

/* 2^(1/2), 2^(1/4), ...: each the root of the one before, as Math.sqrt gives them. */
static const double ROOTS[] = {
    0x1.6a09e667f3bcdp+0, 0x1.306fe0a31b715p+0, 0x1.172b83c7d517bp+0, 0x1.0b5586cf9890fp+0, 0x1.059b0d3158574p+0,
    0x1.02c9a3e778061p+0, 0x1.0163da9fb3335p+0, 0x1.00b1afa5abcbfp+0, 0x1.0058c86da1c0ap+0, 0x1.002c605e2e8cfp+0,
    0x1.00162f3904052p+0, 0x1.000b175effdc7p+0, 0x1.00058ba01fb9fp+0, 0x1.0002c5cc37da9p+0, 0x1.000162e525ee0p+0,
    0x1.0000b17255776p+0, 0x1.000058b91b5bdp+0, 0x1.00002c5c89d5fp+0, 0x1.0000162e43f50p+0, 0x1.00000b1721bd0p+0,
    0x1.0000058b90cf2p+0, 0x1.000002c5c863cp+0, 0x1.00000162e430fp+0, 0x1.000000b172184p+0, 0x1.00000058b90c1p+0,
    0x1.0000002c5c860p+0, 0x1.000000162e430p+0, 0x1.0000000b17218p+0, 0x1.000000058b90cp+0, 0x1.00000002c5c86p+0,
    0x1.0000000162e43p+0};

/* 2^(scaled / 2^fraction), by products and not exp2: the same on every system, and log2_down below is its inverse. */
static double exp2_of(int64_t scaled, int fraction) {
  const int64_t steps = INT64_C(1) << fraction;
  int64_t whole = scaled / steps;
  if (scaled % steps < 0) whole--;
  const int64_t rest = scaled - whole * steps;
  double value = 1;
  for (int bit = 1; bit <= fraction; bit++)
    if (rest >> (fraction - bit) & 1) value *= ROOTS[bit - 1];
  return value * power_of_two(whole);
}

/* The largest whole number that exp2_of makes nothing larger than `value` of; value > 0 and finite. */
static int64_t log2_down(double value, int fraction) {
  int64_t exponent = 0;
  if (value < 0x1p-1022) value *= 0x1p54, exponent = -54;
  const uint64_t bits = decimal_to_bits(value);
  exponent += (int64_t)(bits >> 52) - 1023;
  const double mantissa = decimal_from_bits((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52);
  double reached = 1;
  int64_t scaled = exponent;
  for (int bit = 0; bit < fraction; bit++) {
    scaled *= 2;
    if (reached * ROOTS[bit] <= mantissa) reached *= ROOTS[bit], scaled++;
  }
  return scaled;
}

/* `least` and `most` are within 2^53. */
static int is_whole(double value, double least, double most) {
  return value >= least && value <= most && value == (double)(int64_t)value;
}

/* value % multiple == 0, exactly; both finite. */
static int is_multiple(double value, double multiple) {
  if (value < 0) value = -value;
  while (value >= multiple) {
    double part = multiple;
    while (part <= value / 2) part *= 2;
    value -= part;
  }
  return value == 0;
}

static double number_of(const parameter *p, double value) {
  return p->type == ENUM ? WORDS[p->first_word + (size_t)value].number : value;
}

static int is_double(place at) { return at.as == FLOAT64_LE || at.as == FLOAT64_BE; }
static size_t words_of(place at) { return is_double(at) ? 2 : 1; }

/* The value's words; `*partial` where others share its first. */
static int encode(const parameter *p, double value, uint32_t words[2], int *partial, output *why) {
  const place at = p->client;
  const double most_bits = (double)((UINT64_C(1) << at.width) - 1);
  const double number = number_of(p, value);
  double least = 0, most = 0;
  int good = 1;
  *partial = at.as == BITS || at.as == FIXED || at.as == LOG2;
  switch (at.as) {
    case UINT32:
    case INT32:
    case BITS:
      least = at.as == INT32 ? -2147483648.0 : 0;
      most = at.as == BITS ? most_bits : at.as == INT32 ? 2147483647.0 : 4294967295.0;
      good = is_whole(number, least, most);
      if (good) *words = (uint32_t)(int64_t)number << (at.as == BITS ? at.shift : 0);
      break;
    case BOOL:
      *words = number != 0;
      break;
    case FIXED: {
      const double steps = power_of_two(at.fraction), scaled = number * steps;
      most = most_bits / steps;
      good = scaled >= -0.5 && scaled < most_bits + 0.5;
      if (!good) break;
      const uint64_t down = scaled < 0 ? 0 : (uint64_t)scaled; /* to the nearest, halves up, as Math.round */
      *words = (uint32_t)((down + (scaled - (double)down >= 0.5)) << at.shift);
      break;
    }
    case LOG2: {
      const int64_t sign = INT64_C(1) << (at.width - 1);
      least = exp2_of(1 - sign, at.fraction), most = exp2_of(sign - 1, at.fraction);
      good = number > 0;
      const int64_t scaled = good ? log2_down(number, at.fraction) : 0;
      good = good && scaled > -sign && scaled < sign;
      if (good) *words = (uint32_t)((uint64_t)(scaled < 0 ? sign - scaled : scaled) << at.shift);
      break;
    }
    default: {
      const uint64_t bits = decimal_to_bits(number);
      words[at.as == FLOAT64_LE] = (uint32_t)(bits >> 32);
      words[at.as == FLOAT64_BE] = (uint32_t)bits;
    }
  }
  if (good) return 0;
  put(why, H5Z_FILTER_NAME ": \""), put(why, p->name), put(why, "\" = "), put_number(why, number);
  put(why, " does not fit its place in cd_values; use a value from ");
  put_number(why, least), put(why, " to "), put_number(why, most);
  return H5Z_E_PARAM;
}

/* What lies at a place; 0 when the words end before it. */
static int decode(place at, const uint32_t *words, size_t n, double *value) {
  if (n < words_of(at) || at.word > n - words_of(at)) return 0;
  const uint32_t first = words[at.word];
  const uint32_t bits = (uint32_t)((uint64_t)first >> at.shift & ((UINT64_C(1) << at.width) - 1));
  switch (at.as) {
    case INT32:
      *value = first >> 31 ? (double)first - 4294967296.0 : first;
      break;
    case BOOL:
      *value = first != 0;
      break;
    case BITS:
      *value = bits;
      break;
    case FIXED:
      *value = bits / power_of_two(at.fraction);
      break;
    case LOG2: {
      const int64_t sign = INT64_C(1) << (at.width - 1);
      *value = exp2_of(bits < sign ? bits : sign - bits, at.fraction);
      break;
    }
    case FLOAT64_LE:
    case FLOAT64_BE: {
      const uint32_t second = words[at.word + 1];
      *value = decimal_from_bits(at.as == FLOAT64_LE ? (uint64_t)second << 32 | first : (uint64_t)first << 32 | second);
      break;
    }
    default:
      *value = first;
  }
  return 1;
}

/* ---- which parameters apply, and their values -------------------------------------------------------------------- */

/* Values of all parameters, each worked out when it is first asked for: `when` asks for others. */
typedef struct values {
  enum { UNKNOWN, ABSENT, PRESENT } state[COUNT + 1];
  double value[COUNT + 1];
  uint8_t raw[COUNT + 1]; /* the number of an enum for which there is no word */
  int (*find)(struct values *, size_t i, int active);
  /* parsing */
  const reader *text;
  const given *options;
  output *why;
  /* printing */
  const uint32_t *stored, *client;
  size_t nstored, nclient;
} values;

static int work_out(values *v, size_t i);

/* 1, 0 or a negative code. */
static int is_active(values *v, const parameter *p) {
  const condition *c = CONDITIONS + p->first_condition, *end = c + p->conditions;
  while (c < end) {
    const uint16_t other = c->parameter;
    const int code = work_out(v, other);
    if (code < 0) return code;
    int holds = 0;
    for (; c < end && c->parameter == other; c++)
      if (v->state[other] == PRESENT && !v->raw[other] && v->value[other] == c->value) holds = 1;
    if (!holds) return 0;
  }
  return 1;
}

static int work_out(values *v, size_t i) {
  if (v->state[i] != UNKNOWN) return 0;
  v->state[i] = ABSENT; /* also what a circular `when` sees */
  const int active = is_active(v, &TABLE[i]);
  return active < 0 ? active : v->find(v, i, active);
}

static int is_valid(const parameter *p, double value) {
  if (p->type == BOOLEAN || p->type == ENUM) return 1;
  if (value - value != 0 || (p->type == INTEGER && !is_whole(value, -9007199254740991.0, 9007199254740991.0))) return 0;
  return !((p->has & MINIMUM && value < p->minimum) || (p->has & MAXIMUM && value > p->maximum) ||
           (p->has & ABOVE && value <= p->above) || (p->has & BELOW && value >= p->below) ||
           (p->multiple != 0 && !is_multiple(value, p->multiple)));
}

/* For parsing: what the text says, or the default. */
static int find_given(values *v, size_t i, int active) {
  const parameter *p = &TABLE[i];
  const given *option = &v->options[i];
  if (!active) {
    if (option->kind == GIVEN_NOT) return 0;
    put(v->why, H5Z_FILTER_NAME ": \""), put(v->why, p->name), put(v->why, "\" applies only when ");
    const condition *first = CONDITIONS + p->first_condition;
    for (const condition *c = first; c < first + p->conditions; c++) {
      const int same = c > first && c[-1].parameter == c->parameter;
      if (c > first) put(v->why, same ? " or " : " and ");
      if (!same) put(v->why, TABLE[c->parameter].name), put(v->why, " is ");
      put_value(v->why, &TABLE[c->parameter], c->value, 0);
    }
    put(v->why, "; leave it out, or choose that");
    return H5Z_E_PARAM;
  }
  int good = p->has & DEFAULT;
  v->value[i] = p->value;
  if (option->kind == GIVEN_TEXT) {
    uint16_t w = 0;
    while (w < p->words && !is_text(v->text, option->at, WORDS[p->first_word + w].text)) w++;
    good = w < p->words, v->value[i] = w;
  } else if (option->kind != GIVEN_NOT) {
    good = is_valid(p, option->number), v->value[i] = option->number;
  }
  if (good) {
    v->state[i] = PRESENT;
    return 0;
  }
  put(v->why, H5Z_FILTER_NAME ": \""), put(v->why, p->name);
  if (option->kind == GIVEN_NOT) {
    put(v->why, "\" is required");
  } else if (option->kind == GIVEN_TEXT) {
    put(v->why, "\" is \""), put_text(v->text, v->why, option->at), put(v->why, "\"");
  } else {
    put(v->why, "\" is "), put_number(v->why, option->number);
  }
  put(v->why, "; use "), put_range(v->why, p);
  return H5Z_E_PARAM;
}

/* For printing: what the words say, or the default. */
static int find_kept(values *v, size_t i, int active) {
  const parameter *p = &TABLE[i];
  if (!active) return 0;
  double value;
  const int found = p->stored.as != NOWHERE && v->stored ? decode(p->stored, v->stored, v->nstored, &value)
                                                         : decode(p->client, v->client, v->nclient, &value);
  if (!found) {
    if (!(p->has & DEFAULT)) return 0;
    value = p->value;
  } else if (p->type == BOOLEAN) {
    value = value != 0;
  } else if (p->type == ENUM) {
    uint16_t w = 0;
    while (w < p->words && WORDS[p->first_word + w].number != value) w++;
    if (w < p->words) value = w;
    else v->raw[i] = 1;
  }
  v->value[i] = value, v->state[i] = PRESENT;
  return 0;
}

/* ---- what h5z/filter.h declares ---------------------------------------------------------------------------------- */

static int64_t finish(output *o, int64_t result) { /* a C string, if there is room for one */
  if (o->cap > 0) o->text[o->length < o->cap - 1 ? o->length : o->cap - 1] = 0;
  return result;
}

int64_t h5z_parse_parameters(const char *text, size_t length, uint32_t *client, size_t cap, char *why, size_t why_cap) {
  output sentence = {why, why_cap, 0};
  reader r = {text, length, 0, &sentence};
  given options[COUNT + 1];
  memset(options, 0, sizeof options);
  int64_t code = read_pairs(&r, options);
  if (code < 0) return finish(&sentence, code);

  values v;
  memset(&v, 0, sizeof v);
  v.find = find_given, v.text = &r, v.options = options, v.why = &sentence;
  for (size_t i = 0; i != COUNT; i++)
    if ((code = work_out(&v, i)) < 0) return finish(&sentence, code);

  size_t needed = H5Z_FILTER_CLIENT_WORDS;
  uint32_t words[2] = {0, 0};
  int partial;
  for (size_t i = 0; i != COUNT; i++) {
    const parameter *p = &TABLE[i];
    if (v.state[i] != PRESENT) continue;
    if ((code = encode(p, v.value[i], words, &partial, &sentence)) < 0) return finish(&sentence, code);
    const size_t end = p->client.word + words_of(p->client);
    if ((options[i].kind != GIVEN_NOT || !(p->has & OMITTABLE)) && needed < end) needed = end;
  }
  if (needed > cap) {
    put(&sentence, H5Z_FILTER_NAME ": there is no room for its cd_values; pass room for "), put_number(&sentence, (double)needed);
    return finish(&sentence, H5Z_E_OUTPUT);
  }
  for (size_t i = 0; i < needed; i++) client[i] = 0;
  for (size_t i = 0; i != COUNT; i++) {
    const parameter *p = &TABLE[i];
    if (v.state[i] != PRESENT) continue;
    encode(p, v.value[i], words, &partial, &sentence); /* has succeeded before */
    for (size_t k = 0; k < words_of(p->client); k++)
      if (p->client.word + k < needed)
        client[p->client.word + k] = (partial ? client[p->client.word + k] : 0) | words[k];
  }
  return finish(&sentence, (int64_t)needed);
}

int64_t h5z_print_parameters(const uint32_t *cd, size_t ncd, int stored, char *text, size_t cap) {
  const h5z_filter *f = h5z_filter_v1();
  uint32_t client[H5Z_CD_MAX];
  values v;
  memset(&v, 0, sizeof v);
  v.find = find_kept, v.client = cd, v.nclient = ncd;
  if (stored) v.stored = cd, v.nstored = ncd;
  if (stored && f->restore) {
    const int64_t n = f->restore(cd, ncd, client, H5Z_CD_MAX);
    if (n < 0) return n;
    v.client = client, v.nclient = (size_t)n;
  }
  output o = {text, cap, 0};
  for (size_t i = 0; i != COUNT; i++) {
    work_out(&v, i); /* find_kept never fails */
    if (v.state[i] != PRESENT) continue;
    if (o.length > 0) put(&o, ", ");
    put(&o, TABLE[i].name), put(&o, " = ");
    const double value = v.value[i];
    if (value - value == 0) put_value(&o, &TABLE[i], value, v.raw[i]);
    else put(&o, value != value ? "nan" : value < 0 ? "-inf" : "inf");
  }
  return o.length < cap ? finish(&o, (int64_t)o.length) : H5Z_E_OUTPUT;
}
