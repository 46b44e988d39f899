// The C library's functions that allocate, look at bytes and move them, with a count of each: the linker takes
// these in place of libc's for the whole program, libstdc++ included. Loops of volatile accesses, because a
// compiler makes calls of the very functions out of others.
#include <stddef.h>
#include <stdint.h>

size_t allocations = 0;
size_t bytes_looked_at = 0;
size_t bytes_moved = 0;

void* __libc_malloc(size_t size);  // glibc's own entry

void* malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}

void* memchr(const void* text, int wanted, size_t size) {
  const volatile unsigned char* at = text;
  for (size_t i = 0; i < size; ++i) {
    if (at[i] != (unsigned char)wanted) continue;
    bytes_looked_at += i + 1;
    return (void*)(uintptr_t)(at + i);
  }
  bytes_looked_at += size;
  return NULL;
}

static void move_up(volatile unsigned char* to, const volatile unsigned char* from, size_t size) {
  for (; size >= 8; size -= 8, to += 8, from += 8) {
    *(volatile uint64_t*)to = *(const volatile uint64_t*)from;
  }
  while (size-- != 0) *to++ = *from++;
}

void* memcpy(void* restrict to, const void* restrict from, size_t size) {
  bytes_moved += size;
  move_up(to, from, size);
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  bytes_moved += size;
  volatile unsigned char* end = (unsigned char*)to + size;
  const volatile unsigned char* source = (const unsigned char*)from + size;
  if ((uintptr_t)to <= (uintptr_t)from) {
    move_up(to, from, size);
  } else {
    while (size-- != 0) *--end = *--source;
  }
  return to;
}
