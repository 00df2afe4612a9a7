/* What the collator's process does in tests: argv[1] says. SIGTERM ends it, unless it is deaf. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void leave(int s) { (void)s; write(1, "leaving\n", 8); _exit(0); }
int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "idle";
  long n = argc > 2 ? atol(argv[2]) : 0;
  signal(SIGTERM, strcmp(mode, "deaf") ? leave : SIG_IGN);
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  if (!strcmp(mode, "exit")) { puts("bye"); return (int)n; }
  if (!strcmp(mode, "lines"))
    for (long i = 1; i <= n; i++) printf("line %ld\n", i);
  if (!strcmp(mode, "long")) {
    for (long i = 0; i < n; i++) putchar('x');
    puts("\nafter");
  }
  if (!strcmp(mode, "burn")) for (;;) {}
  if (!strcmp(mode, "hog")) {
    sleep(1); /* Docker learns of the memory limit only once it has begun to watch for it. */
    for (;;) memset(malloc(1 << 20), 1, 1 << 20);
  }
  for (;;) pause();
}
