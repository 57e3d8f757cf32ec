/* zlib's zutil.c includes its header of gzip file functions and uses nothing of it. Those functions are left out here,
 * and the header differs between the places that zlib is fetched from. */
