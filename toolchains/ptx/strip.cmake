# Takes out of the compiler's text of PTX what no driver reads: comments, white space, most of a label's name. One text in, one
# out, whatever the machine: cmake -DTEXT=<file> -P strip.cmake
file(READ "${TEXT}" text)
string(REGEX REPLACE "//[^\n]*" "" text "${text}")
string(REGEX REPLACE "[ \t]+\n" "\n" text "${text}")
string(REGEX REPLACE "\n[ \t\n]+" "\n" text "${text}")
string(REGEX REPLACE "^[ \t\n]+" "" text "${text}")
string(REPLACE "\t" " " text "${text}")
string(REGEX REPLACE "  +" " " text "${text}")
string(REPLACE ", " "," text "${text}")
string(REPLACE "\$L__BB" "\$" text "${text}")
file(WRITE "${TEXT}" "${text}")
