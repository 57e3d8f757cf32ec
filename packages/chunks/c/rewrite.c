/* What repacking needs of libhdf5's insides.
 *
 * A file is copied object by object by the very code of H5Ocopy, all in one go, so that object headers, attributes,
 * committed datatypes, hard links, soft and external links, creation orders and times come over as they are; only the data
 * of the datasets whose pipeline will change are left out (wrapped functions below: -Wl,--wrap). Then such a dataset, which
 * is empty, gets the layout and pipeline messages of a new one. The map from old to new addresses is kept for references.
 */
#define H5D_FRIEND
#define H5F_FRIEND
#define H5G_FRIEND
#define H5O_FRIEND

#include "H5private.h"

#include "H5ACprivate.h"
#include "H5CXprivate.h"
#include "H5Dpkg.h"
#include "H5Fpkg.h"
#include "H5Gpkg.h"
#include "H5Iprivate.h"
#include "H5Opkg.h"
#include "H5SLprivate.h"
#include "H5VLprivate.h"

#include "write.h"

/* --- leaving data out -------------------------------------------------------------------------------------------- */

static const double *left_out;
static uint32_t left_out_count;

static int is_left_out(haddr_t address) {
  if (!H5_addr_defined(address)) return 0;
  for (uint32_t i = 0; i < left_out_count; i++)
    if ((haddr_t)left_out[i] == address) return 1;
  return 0;
}

herr_t __real_H5D__chunk_copy(H5F_t *from, H5O_layout_t *layout, H5F_t *to, H5O_layout_t *copy,
                              const H5S_extent_t *extent, H5T_t *type, const H5O_pline_t *pline, H5O_copy_t *info);
herr_t __wrap_H5D__chunk_copy(H5F_t *from, H5O_layout_t *layout, H5F_t *to, H5O_layout_t *copy,
                              const H5S_extent_t *extent, H5T_t *type, const H5O_pline_t *pline, H5O_copy_t *info) {
  if (is_left_out(layout->storage.u.chunk.idx_addr)) return H5D_chunk_idx_reset(&copy->storage.u.chunk, true);
  return __real_H5D__chunk_copy(from, layout, to, copy, extent, type, pline, info);
}

herr_t __real_H5D__contig_copy(H5F_t *from, const H5O_storage_contig_t *data, H5F_t *to, H5O_storage_contig_t *copy,
                               H5T_t *type, H5O_copy_t *info);
herr_t __wrap_H5D__contig_copy(H5F_t *from, const H5O_storage_contig_t *data, H5F_t *to, H5O_storage_contig_t *copy,
                               H5T_t *type, H5O_copy_t *info) {
  if (!is_left_out(data->addr)) return __real_H5D__contig_copy(from, data, to, copy, type, info);
  copy->addr = HADDR_UNDEF;
  return SUCCEED;
}

/* Where the data of an open dataset lie: what is_left_out compares. */
double h5w_storage_of(hid_t dataset) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  haddr_t at = HADDR_UNDEF;
  if (d && d->shared->layout.type == H5D_CHUNKED) at = d->shared->layout.storage.u.chunk.idx_addr;
  if (d && d->shared->layout.type == H5D_CONTIGUOUS) at = d->shared->layout.storage.u.contig.addr;
  return H5_addr_defined(at) ? (double)at : -1;
}

/* --- times ------------------------------------------------------------------------------------------------------- */

/* What is done to an object of the copy is no change of it: its times are those of the original. */
static int times_stay;

herr_t __real_H5O_touch(const H5O_loc_t *object, bool force);
herr_t __wrap_H5O_touch(const H5O_loc_t *object, bool force) {
  return times_stay ? SUCCEED : __real_H5O_touch(object, force);
}

herr_t __real_H5O_touch_oh(H5F_t *f, H5O_t *header, bool force);
herr_t __wrap_H5O_touch_oh(H5F_t *f, H5O_t *header, bool force) {
  return times_stay ? SUCCEED : __real_H5O_touch_oh(f, header, force);
}

/* --- the copy ---------------------------------------------------------------------------------------------------- */

static double *map;
static size_t map_size;

double h5w_mapped(double from) {
  size_t low = 0, high = map_size;
  while (low < high) { /* sorted by address in the source, as the skip list is */
    size_t middle = (low + high) / 2;
    if (map[2 * middle] < from)
      low = middle + 1;
    else
      high = middle;
  }
  return low < map_size && map[2 * low] == from ? map[2 * low + 1] : -1;
}

const double *h5w_map(size_t *size) {
  *size = map_size;
  return map;
}

static herr_t free_mapping(void *item, void *key, void *unused) {
  H5O_addr_map_t *mapping = item;
  (void)key, (void)unused;
  if (mapping->udata && mapping->obj_class->free_copy_file_udata)
    mapping->obj_class->free_copy_file_udata(mapping->udata);
  return SUCCEED;
}

static int keep_map(H5SL_t *list) {
  free(map);
  map_size = 0;
  map = malloc(2 * sizeof *map * (H5SL_count(list) + 1));
  if (!map) return -1;
  for (H5SL_node_t *node = H5SL_first(list); node; node = H5SL_next(node)) {
    const H5O_addr_map_t *mapping = H5SL_item(node);
    map[2 * map_size] = (double)mapping->src_obj_pos.addr;
    map[2 * map_size++ + 1] = (double)mapping->dst_addr;
  }
  return 0;
}

/* Makes the group at `address` the root; the file must be closed and opened again before it is used by path. */
static int adopt_root(H5F_t *f, haddr_t address) {
  H5F_super_t *super = f->shared->sblock;
  haddr_t old = H5G_oloc(f->shared->root_grp)->addr;
  H5G_oloc(f->shared->root_grp)->addr = address;
  super->root_addr = address;
  if (super->root_ent) {
    memset(super->root_ent, 0, sizeof *super->root_ent);
    super->root_ent->type = H5G_NOTHING_CACHED;
    super->root_ent->header = address;
  }
  if (H5AC_mark_entry_dirty(super) < 0) return -1;
  return H5O_delete(f, old) < 0 ? -1 : 0;
}

int h5w_copy_all(hid_t source, hid_t target, const double *skip, uint32_t count) {
  H5F_t *from_file = H5VL_object(source), *to_file = H5VL_object(target);
  H5CX_node_t context = {{0}, NULL};
  H5O_copy_t info;
  H5O_loc_t from, to;
  int result = -1;
  if (!from_file || !to_file || H5CX_push(&context) < 0) return -1;
  memset(&info, 0, sizeof info);
  info.max_depth = -1;
  info.lcpl_id = H5P_LINK_CREATE_DEFAULT;
  times_stay = 1;
  left_out = skip;
  left_out_count = count;
  H5O_loc_reset(&from);
  H5O_loc_reset(&to);
  from.file = from_file;
  from.addr = H5G_oloc(H5G_rootof(from_file))->addr;
  to.file = to_file;
  info.map_list = H5SL_create(H5SL_TYPE_OBJ, NULL);
  if (info.map_list && H5O_copy_header_map(&from, &to, &info, true, NULL, NULL) >= 0 && keep_map(info.map_list) == 0)
    result = adopt_root(to_file, to.addr);
  /* The items are from a free list of H5Ocopy.c's own, which a module that ends does without. */
  if (info.map_list) H5SL_destroy(info.map_list, free_mapping, NULL);
  left_out_count = 0;
  H5CX_pop(false);
  return result;
}

/* --- another pipeline -------------------------------------------------------------------------------------------- */

/* Gives the object header of `dataset` the filter, layout and fill value messages of `model`. Both are empty. */
int h5w_transplant(hid_t dataset, hid_t model) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  H5D_t *m = (H5D_t *)H5VL_object_verify(model, H5I_DATASET);
  H5CX_node_t context = {{0}, NULL};
  haddr_t tag = HADDR_UNDEF;
  int result = -1;
  if (!d || !m || H5CX_push(&context) < 0) return -1;
  H5AC_tag(d->oloc.addr, &tag);
  H5F_t *f = d->oloc.file;
  H5O_t *oh = H5O_pin(&d->oloc);
  if (oh) {
    const H5O_pline_t *pline = &m->shared->dcpl_cache.pline;
    int good = 1;
    for (size_t i = 0; good && i < oh->nmesgs; i++) {
      unsigned id = oh->mesg[i].type->id;
      if (id == H5O_PLINE_ID || id == H5O_LAYOUT_ID || id == H5O_FILL_NEW_ID)
        good = H5O__release_mesg(f, oh, &oh->mesg[i], true) >= 0;
    }
    good = good && H5O_msg_append_oh(f, oh, H5O_FILL_NEW_ID, H5O_MSG_FLAG_CONSTANT, 0, &m->shared->dcpl_cache.fill) >= 0;
    good = good && (pline->nused == 0 ||
                    H5O_msg_append_oh(f, oh, H5O_PLINE_ID, H5O_MSG_FLAG_CONSTANT, 0, (void *)pline) >= 0);
    good = good && H5O_msg_append_oh(f, oh, H5O_LAYOUT_ID, 0, 0, &m->shared->layout) >= 0;
    result = H5O_unpin(oh) >= 0 && good ? 0 : -1;
  }
  H5AC_tag(tag, NULL);
  H5CX_pop(false);
  return result;
}

int h5w_set_alloc_time(hid_t dataset, int time) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  H5CX_node_t context = {{0}, NULL};
  haddr_t tag = HADDR_UNDEF;
  int result = -1;
  if (!d || H5CX_push(&context) < 0) return -1;
  H5AC_tag(d->oloc.addr, &tag);
  H5F_t *f = d->oloc.file;
  H5O_t *oh = H5O_pin(&d->oloc);
  if (oh) {
    H5O_fill_t *fill = &d->shared->dcpl_cache.fill;
    int good = 1;
    for (size_t i = 0; good && i < oh->nmesgs; i++)
      if (oh->mesg[i].type->id == H5O_FILL_NEW_ID) good = H5O__release_mesg(f, oh, &oh->mesg[i], true) >= 0;
    fill->alloc_time = (H5D_alloc_time_t)time;
    good = good && H5O_msg_append_oh(f, oh, H5O_FILL_NEW_ID, H5O_MSG_FLAG_CONSTANT, 0, fill) >= 0;
    result = H5O_unpin(oh) >= 0 && good ? 0 : -1;
  }
  H5AC_tag(tag, NULL);
  H5CX_pop(false);
  return result;
}
