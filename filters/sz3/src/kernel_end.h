/* kernel_end.h: takes back what kernel.h and the lines before its #include defined for one type. */
#undef T
#undef NAME
#undef FROM
#undef V
#undef OVER
#undef ROW
#undef ROW_OF
#undef BLOCK_ROW
#undef BLOCK_ROW_OF
#undef BLOCK_ROW_BY_LORENZO
