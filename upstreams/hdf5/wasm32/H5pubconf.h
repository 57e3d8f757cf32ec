/* HDF5's configuration for wasm32 with Emscripten's libc: what its configure step would find out, written down,
 * because the answers do not vary and asking costs minutes. A reader's build: no threads, no plugins from disk,
 * no drivers that need a file system, deflate through zlib. */
#ifndef H5pubconf_H
#define H5pubconf_H

#define H5_PACKAGE "hdf5"
#define H5_PACKAGE_NAME "HDF5"
#define H5_PACKAGE_BUGREPORT ""
#define H5_PACKAGE_STRING "HDF5"
#define H5_PACKAGE_TARNAME "hdf5"
#define H5_PACKAGE_URL ""
#define H5_PACKAGE_VERSION ""
#define H5_VERSION ""

#define H5_DEFAULT_PLUGINDIR ""

#define H5_HAVE_ATTRIBUTE 1
#define H5_HAVE_ASPRINTF 1
#define H5_HAVE_CLOCK_GETTIME 1
#define H5_HAVE_DIRENT_H 1
#define H5_HAVE_DLFCN_H 1
#define H5_HAVE_FSEEKO 1
#define H5_HAVE_GETTIMEOFDAY 1
#define H5_HAVE_LIBM 1
#define H5_HAVE_QSORT_REENTRANT 1
#define H5_HAVE_STDATOMIC_H 1
#define H5_HAVE_TM_GMTOFF 1
#define H5_HAVE_STRCASESTR 1
#define H5_HAVE_STRDUP 1
#define H5_HAVE_SYS_STAT_H 1
#define H5_HAVE_SYS_TIME_H 1
#define H5_HAVE_UNISTD_H 1
#define H5_HAVE_VASPRINTF 1

#define H5_HAVE_FILTER_DEFLATE 1
#define H5_HAVE_LIBZ 1
#define H5_HAVE_ZLIB_H 1

#define H5_LDOUBLE_TO_LLONG_ACCURATE 1
#define H5_LLONG_TO_LDOUBLE_CORRECT 1
#define H5_WANT_DATA_ACCURACY 1

#define H5_SIZEOF_BOOL 1
#define H5_SIZEOF_CHAR 1
#define H5_SIZEOF_SHORT 2
#define H5_SIZEOF_INT 4
#define H5_SIZEOF_UNSIGNED 4
#define H5_SIZEOF_LONG 4
#define H5_SIZEOF_LONG_LONG 8
#define H5_SIZEOF_SIZE_T 4
#define H5_SIZEOF_SSIZE_T 4
#define H5_SIZEOF_PTRDIFF_T 4
#define H5_SIZEOF_OFF_T 8
#define H5_SIZEOF_TIME_T 8
#define H5_SIZEOF_FLOAT 4
#define H5_SIZEOF_DOUBLE 8
#define H5_SIZEOF_LONG_DOUBLE 16
#define H5_SIZEOF__FLOAT16 0

#define H5_SIZEOF_INT8_T 1
#define H5_SIZEOF_UINT8_T 1
#define H5_SIZEOF_INT_LEAST8_T 1
#define H5_SIZEOF_UINT_LEAST8_T 1
#define H5_SIZEOF_INT_FAST8_T 1
#define H5_SIZEOF_UINT_FAST8_T 1
#define H5_SIZEOF_INT16_T 2
#define H5_SIZEOF_UINT16_T 2
#define H5_SIZEOF_INT_LEAST16_T 2
#define H5_SIZEOF_UINT_LEAST16_T 2
#define H5_SIZEOF_INT_FAST16_T 4
#define H5_SIZEOF_UINT_FAST16_T 4
#define H5_SIZEOF_INT32_T 4
#define H5_SIZEOF_UINT32_T 4
#define H5_SIZEOF_INT_LEAST32_T 4
#define H5_SIZEOF_UINT_LEAST32_T 4
#define H5_SIZEOF_INT_FAST32_T 4
#define H5_SIZEOF_UINT_FAST32_T 4
#define H5_SIZEOF_INT64_T 8
#define H5_SIZEOF_UINT64_T 8
#define H5_SIZEOF_INT_LEAST64_T 8
#define H5_SIZEOF_UINT_LEAST64_T 8
#define H5_SIZEOF_INT_FAST64_T 8
#define H5_SIZEOF_UINT_FAST64_T 8

#endif
