/* nczarr.h: the face that netCDF-C's NCZarr wants of a filter that Zarr knows too, by a name of numcodecs: with it the
 * library that is an HDF5 plugin reads and writes Zarr stores as well. Included once, by hdf5_plugin.c, where filter.json
 * has "zarr".
 *
 *     .zarray   {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
 *                    | codec_to_hdf5             ^ hdf5_to_codec
 *                    v                           |
 *     client cd_values, which netCDF calls visible: what nc_def_var_filter takes and nc_inq_var_filter_info gives
 *                    | modify_parameters: the variable is asked for by nc_inq_...
 *                    v
 *     stored cd_values, which netCDF calls working: the filter function of H5PLget_plugin_info gets them with each chunk
 *
 * As with libhdf5, nothing is linked: the library that called is asked for its functions. The JSON is text that anybody may
 * have written: it is read once from front to back, and members that the table does not name are left alone, since numcodecs
 * has added some before. The parameters themselves are params.c's, by their words.
 */
#ifndef H5Z_NCZARR_H
#define H5Z_NCZARR_H

/* ---- what we need of netCDF's own headers: netcdf.h and netcdf_filter_build.h, alike in 4.9.0 to 4.10.1 ----------- */

enum { NC_NOERR = 0, NC_ENOMEM = -61, NC_EFILTER = -132 };
enum { NC_CHAR = 2, NC_FLOAT = 5, NC_DOUBLE = 6, NC_UBYTE = 7, NC_INT64 = 10, NC_UINT64 = 11, NC_STRING = 12 };
enum { NC_CHUNKED = 0, NC_ENDIAN_BIG = 2 };

typedef struct {
  int version; /* 1 = NCZ_CODEC_CLASS_VER */
  int sort;    /* 1 = NCZ_CODEC_HDF5 */
  const char *codecid;
  unsigned hdf5id;
  void (*initialize)(void);
  void (*finalize)(void);
  int (*codec_to_hdf5)(const char *json, size_t *n, unsigned **values);
  int (*hdf5_to_codec)(size_t n, const unsigned *values, char **json);
  int (*modify_parameters)(int file, int variable, size_t *nvisible, unsigned **visible, size_t *nworking,
                           unsigned **working);
} NCZ_codec_t;

#define NETCDF_SYMBOLS(F)                             \
  F(nc_inq_vartype, (int, int, int *))                \
  F(nc_inq_type, (int, int, char *, size_t *))        \
  F(nc_inq_varndims, (int, int, int *))               \
  F(nc_inq_var_chunking, (int, int, int *, size_t *)) \
  F(nc_inq_var_endian, (int, int, int *))

typedef struct {
#define F(name, arguments) int(*name) arguments;
  NETCDF_SYMBOLS(F)
#undef F
} netcdf_library;

/* ---- the members of the JSON, written by ./farm into the identity header (packages/farm/src/identity.ts) ---------- */

typedef struct {
  const char *name, *parameter;
  enum {
    ZARR_TEXT,   /* the word of an enum, in quotes */
    ZARR_NUMBER, /* a number, or true or false */
    ZARR_CHOICE, /* the number that stands for the word of an enum */
    ZARR_FIXED,  /* `value` always, and not looked at */
    ZARR_STORED  /* the stored word at index `value`: a fact about the variable */
  } kind;
  int value;
  unsigned first_word, words; /* of ZARR_CHOICE */
} zarr_member;

typedef struct {
  const char *text;
  long number;
} zarr_word;

static const zarr_member ZARR_MEMBERS[] = {H5Z_FILTER_ZARR_MEMBERS{NULL, NULL, ZARR_FIXED, 0, 0, 0}};
static const zarr_word ZARR_WORDS[] = {H5Z_FILTER_ZARR_WORDS{NULL, 0}};

/* ---- text ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  char text[1024];
  size_t length; /* sizeof text + 1: it did not fit */
} zarr_text;

static void zarr_put(zarr_text *o, const char *bytes, size_t n) {
  if (o->length > sizeof o->text || n > sizeof o->text - o->length) {
    o->length = sizeof o->text + 1;
    return;
  }
  memcpy(o->text + o->length, bytes, n);
  o->length += n;
}
static void zarr_put_text(zarr_text *o, const char *text) { zarr_put(o, text, strlen(text)); }
static void zarr_put_number(zarr_text *o, long long number) {
  char digits[24];
  size_t at = sizeof digits;
  unsigned long long rest = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
  do digits[--at] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) digits[--at] = '-';
  zarr_put(o, digits + at, sizeof digits - at);
}

static const char *json_blanks(const char *p) {
  while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') p++;
  return p;
}

/* Behind the string whose quote is at `p`; NULL where it has no end. */
static const char *json_string(const char *p) {
  for (p++; *p != '"'; p++)
    if (*p == 0 || (*p == '\\' && *++p == 0)) return NULL;
  return p + 1;
}

/* The comma or bracket behind the value at `p`, whatever it is; NULL where the text ends before. */
static const char *json_value(const char *p) {
  for (size_t depth = 0; p && *p; ) {
    if (*p == '"') {
      p = json_string(p);
      continue;
    }
    if (depth == 0 && (*p == ',' || *p == '}' || *p == ']')) return p;
    if (*p == '{' || *p == '[') depth++;
    if (*p == '}' || *p == ']') depth--;
    p++;
  }
  return NULL;
}

/* Whether these bytes may stand in a parameter string as they are, a number or between quotes. */
static bool is_plain(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= 'A' && p[i] <= 'Z') &&
        !memchr("+-._", p[i], 4))
      return false;
  return n > 0;
}

/* The whole number that these bytes are. */
static bool read_whole(const char *p, size_t n, long *number) {
  const size_t sign = n > 0 && *p == '-';
  long value = 0;
  if (n == sign || n - sign > 9) return false;
  for (size_t i = sign; i < n; i++) {
    if (p[i] < '0' || p[i] > '9') return false;
    value = value * 10 + (p[i] - '0');
  }
  *number = sign ? -value : value;
  return true;
}

static unsigned *copy_values(const unsigned *values, size_t n) { /* netCDF frees them */
  unsigned *copy = malloc((n ? n : 1) * sizeof *copy);
  if (copy && n > 0) memcpy(copy, values, n * sizeof *copy);
  return copy;
}

/* ---- JSON -> client cd_values --------------------------------------------------------------------------------------- */

typedef struct {
  zarr_text parameters; /* name = value, name = value: for h5z_parse_parameters */
  unsigned facts[16];   /* what the JSON says of ZARR_STORED words */
  size_t nfacts;
} zarr_reading;

/* One member. A string is taken as what stands in it, since some write numbers in quotes. */
static bool take_member(zarr_reading *r, const char *name, size_t nname, const char *value, size_t n) {
  const zarr_member *m = ZARR_MEMBERS;
  while (m->name && (strlen(m->name) != nname || memcmp(m->name, name, nname) != 0)) m++;
  if (!m->name || m->kind == ZARR_FIXED || (n == 4 && memcmp(value, "null", 4) == 0)) return true;
  if (n >= 2 && *value == '"') value++, n -= 2;
  if (!is_plain(value, n)) return false;
  long number = 0;
  if (m->kind == ZARR_STORED) {
    const size_t word = (size_t)m->value;
    if (!read_whole(value, n, &number) || number < 0 || word >= sizeof r->facts / sizeof *r->facts) return false;
    for (; r->nfacts <= word; r->nfacts++) r->facts[r->nfacts] = 0;
    r->facts[word] = (unsigned)number;
    return true;
  }
  const char *word = NULL;
  if (m->kind == ZARR_CHOICE) {
    if (!read_whole(value, n, &number)) return false;
    for (unsigned i = 0; i < m->words && !word; i++)
      if (ZARR_WORDS[m->first_word + i].number == number) word = ZARR_WORDS[m->first_word + i].text;
    if (!word) return true; /* numcodecs chooses by itself for some: the default is as good, and chunks say what they are */
  }
  const char *quote = m->kind == ZARR_NUMBER ? "" : "\"";
  if (r->parameters.length > 0) zarr_put_text(&r->parameters, ", ");
  zarr_put_text(&r->parameters, m->parameter), zarr_put_text(&r->parameters, " = ");
  zarr_put_text(&r->parameters, quote);
  zarr_put(&r->parameters, word ? word : value, word ? strlen(word) : n);
  zarr_put_text(&r->parameters, quote);
  return true;
}

static bool read_members(zarr_reading *r, const char *json) {
  const char *p = json_blanks(json);
  if (*p != '{') return false;
  p = json_blanks(p + 1);
  while (*p != '}') {
    if (*p != '"') return false;
    const char *name = p + 1, *end = json_string(p);
    if (!end) return false;
    p = json_blanks(end);
    if (*p != ':') return false;
    const char *value = json_blanks(p + 1);
    p = json_value(value);
    if (!p) return false;
    size_t n = (size_t)(p - value);
    while (n > 0 && json_blanks(value + n - 1) >= p) n--;
    if (!take_member(r, name, (size_t)(end - 1 - name), value, n)) return false;
    if (*p == ',') {
      p = json_blanks(p + 1);
      if (*p != '"') return false;
    }
  }
  return r->parameters.length <= sizeof r->parameters.text;
}

static int codec_to_hdf5(const char *json, size_t *n, unsigned **values) {
  zarr_reading r = {.nfacts = 0};
  unsigned client[H5Z_CD_MAX];
  if (!json || !n || !values || !read_members(&r, json)) return NC_EFILTER;
  const int64_t made = h5z_parse_parameters(r.parameters.text, r.parameters.length, client, H5Z_CD_MAX, NULL, 0);
  if (made < 0) return NC_EFILTER;
  size_t count = (size_t)made;
  for (; count < r.nfacts; count++) client[count] = r.facts[count];
  unsigned *copy = copy_values(client, count);
  if (!copy) return NC_ENOMEM;
  *n = count, *values = copy;
  return NC_NOERR;
}

/* ---- client cd_values -> JSON --------------------------------------------------------------------------------------- */

/* The value of a parameter in what h5z_print_parameters printed, with its quotes; NULL where it does not apply. */
static const char *find_printed(const char *text, const char *parameter, size_t *n) {
  const size_t length = strlen(parameter);
  for (const char *p = text; *p;) {
    const char *value = strstr(p, " = ");
    if (!value) return NULL;
    const bool found = (size_t)(value - p) == length && memcmp(p, parameter, length) == 0;
    value += 3;
    const char *end = *value == '"' ? strchr(value + 1, '"') : strchr(value, ',');
    if (*value == '"' && !end) return NULL;
    if (!end) end = value + strlen(value);
    else if (*end == '"') end++;
    if (found) {
      *n = (size_t)(end - value);
      return value;
    }
    p = *end == ',' ? end + 2 : end;
  }
  return NULL;
}

static bool put_member(zarr_text *o, const zarr_member *m, const char *printed, size_t n, const unsigned *values) {
  size_t length = 0;
  const char *value = m->parameter ? find_printed(printed, m->parameter, &length) : NULL;
  if (m->parameter && !value) return true;
  if (m->kind == ZARR_STORED && (size_t)m->value >= n) return false; /* netCDF has not told of the variable yet */
  zarr_put_text(o, ", \""), zarr_put_text(o, m->name), zarr_put_text(o, "\": ");
  if (m->kind == ZARR_FIXED || m->kind == ZARR_STORED) {
    zarr_put_number(o, m->kind == ZARR_FIXED ? m->value : (long long)values[m->value]);
    return true;
  }
  if (m->kind == ZARR_CHOICE && *value == '"') {
    for (unsigned i = 0; i < m->words; i++) {
      const zarr_word *word = &ZARR_WORDS[m->first_word + i];
      if (strlen(word->text) != length - 2 || memcmp(word->text, value + 1, length - 2) != 0) continue;
      zarr_put_number(o, word->number);
      return true;
    }
    return false;
  }
  if (m->kind == ZARR_TEXT && *value != '"') return false; /* a number for which there is no word */
  zarr_put(o, value, length);
  return true;
}

static int hdf5_to_codec(size_t n, const unsigned *values, char **json) {
  char printed[H5Z_PARAMETERS_MAX];
  zarr_text o = {.length = 0};
  if (!json || h5z_print_parameters(values, n, 0, printed, sizeof printed) < 0) return NC_EFILTER;
  zarr_put_text(&o, "{\"id\": \"" H5Z_FILTER_ZARR_ID "\"");
  for (const zarr_member *m = ZARR_MEMBERS; m->name; m++)
    if (!put_member(&o, m, printed, n, values)) return NC_EFILTER;
  zarr_put(&o, "}", 2);
  if (o.length > sizeof o.text) return NC_EFILTER;
  char *copy = malloc(o.length); /* netCDF frees it */
  if (!copy) return NC_ENOMEM;
  *json = memcpy(copy, o.text, o.length);
  return NC_NOERR;
}

/* ---- client + variable -> stored ------------------------------------------------------------------------------------ */

/* What `derive` may know of a variable. Zarr's chunks are whole, as HDF5's are. */
static bool describe_variable(const netcdf_library *nc, int file, int variable, h5z_dataset *ds) {
  int type = 0, rank = 0, storage = -1, endian = 0;
  size_t size = 0, chunk[H5Z_MAX_RANK];
  if (nc->nc_inq_vartype(file, variable, &type) || nc->nc_inq_type(file, type, NULL, &size) || size == 0 ||
      size > UINT32_MAX || nc->nc_inq_varndims(file, variable, &rank) || rank < 1 || rank > H5Z_MAX_RANK ||
      nc->nc_inq_var_chunking(file, variable, &storage, chunk) || storage != NC_CHUNKED ||
      nc->nc_inq_var_endian(file, variable, &endian))
    return false;
  const uint16_t probe = 1;
  const bool here_big = *(const uint8_t *)&probe == 0;
  const bool number = type != NC_CHAR && type < NC_STRING;
  memset(ds, 0, sizeof *ds);
  ds->struct_size = sizeof *ds;
  ds->type_class = type == NC_FLOAT || type == NC_DOUBLE ? H5Z_CLASS_FLOAT
                   : number                              ? H5Z_CLASS_INTEGER
                   : type <= NC_STRING                   ? H5Z_CLASS_STRING
                                                         : H5Z_CLASS_OPAQUE;
  ds->type_size = ds->base_size = (uint32_t)size, ds->base_class = ds->type_class;
  ds->is_signed = ds->type_class == H5Z_CLASS_INTEGER && (type < NC_UBYTE || type == NC_INT64);
  ds->big_endian = number && (endian == NC_ENDIAN_BIG || (endian == 0 && here_big));
  ds->precision = (uint32_t)size * 8;
  ds->rank = (uint32_t)rank;
  for (int i = 0; i < rank; i++) ds->chunk_dims[i] = chunk[i];
  return true;
}

static bool netcdf_of(module m, netcdf_library *nc) {
  static const struct {
    const char *name;
    size_t at;
  } symbols[] = {
#define F(name, arguments) {#name, offsetof(netcdf_library, name)},
      NETCDF_SYMBOLS(F)
#undef F
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *p = symbol(m, symbols[i].name);
    if (!p) return false;
    memcpy((char *)nc + symbols[i].at, &p, sizeof p);
  }
  return true;
}

static int modify_parameters(int file, int variable, size_t *nvisible, unsigned **visible, size_t *nworking,
                             unsigned **working) {
  const h5z_filter *f = h5z_filter_v1();
  netcdf_library nc;
  h5z_dataset ds;
  unsigned stored[H5Z_CD_MAX];
  module m = open_at(CALLER);
  const bool described = m && netcdf_of(m, &nc) && describe_variable(&nc, file, variable, &ds);
  if (m) close_module(m);
  if (!described) return NC_EFILTER;
  int64_t made = (int64_t)*nvisible;
  if (f->derive) made = f->derive(*visible, *nvisible, &ds, stored, H5Z_CD_MAX);
  else if (*nvisible > H5Z_CD_MAX) return NC_EFILTER;
  else if (*nvisible > 0) memcpy(stored, *visible, *nvisible * sizeof *stored);
  if (made < 0) return NC_EFILTER;

  bool facts = false; /* the JSON tells of them, and is made of the visible values */
  for (const zarr_member *z = ZARR_MEMBERS; z->name; z++) {
    if (z->kind != ZARR_STORED) continue;
    const size_t word = (size_t)z->value;
    if (word >= (size_t)made) return NC_EFILTER;
    /* Chunks that were written for elements of another size would come out as garbage. */
    if (word < *nvisible && (*visible)[word] != 0 && (*visible)[word] != stored[word]) return NC_EFILTER;
    facts = true;
  }
  unsigned *used = copy_values(stored, (size_t)made), *shown = facts ? copy_values(stored, (size_t)made) : NULL;
  if (!used || (facts && !shown)) {
    free(used), free(shown);
    return NC_ENOMEM;
  }
  if (facts) {
    free(*visible);
    *visible = shown, *nvisible = (size_t)made;
  }
  free(*working);
  *working = used, *nworking = (size_t)made;
  return NC_NOERR;
}

/* ---- the hook ------------------------------------------------------------------------------------------------------- */

static const NCZ_codec_t zarr_codec = {.version = 1,
                                       .sort = 1,
                                       .codecid = H5Z_FILTER_ZARR_ID,
                                       .hdf5id = H5Z_FILTER_ID,
                                       .codec_to_hdf5 = codec_to_hdf5,
                                       .hdf5_to_codec = hdf5_to_codec,
                                       .modify_parameters = modify_parameters};

H5Z_EXPORT const void *NCZ_get_codec_info(void) { return &zarr_codec; }

#endif
