/* The private half of jconfig.h. */
#define BUILD "h5z"
#undef inline
#define INLINE inline __attribute__((always_inline))
#define THREAD_LOCAL _Thread_local
#define PACKAGE_NAME "libjpeg-turbo"
#define VERSION "2.1.3"
#define SIZEOF_SIZE_T __SIZEOF_SIZE_T__
#if __SIZEOF_LONG__ == __SIZEOF_SIZE_T__
#  define HAVE_BUILTIN_CTZL
#endif
#define FALLTHROUGH __attribute__((fallthrough));
