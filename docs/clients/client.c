/* A client of asvt-chat: gcc -o client client.c && ./client [host] [port]
 * Type commands: send Bob hello there */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int server;

static void end(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

/* read returns as many bytes as have come, often fewer: read on until all are there. */
static void read_exactly(char *bytes, size_t size) {
  while (size > 0) {
    ssize_t got = read(server, bytes, size);
    if (got <= 0) end("The server has closed the connection.");
    bytes += got;
    size -= got;
  }
}

/* write may take only a part of the bytes, and returns how many. */
static void write_all(const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(server, bytes, size);
    if (written < 0) end("The server has closed the connection.");
    bytes += written;
    size -= written;
  }
}

/* Adds a frame: 4 bytes of length, the lowest first, then the text without the NUL at its end. */
static char *add_frame(char *at, const char *text) {
  uint32_t size = strlen(text);
  for (int i = 0; i < 4; i++) *at++ = size >> (8 * i);
  memcpy(at, text, size);
  return at + size;
}

/* Prints the next frame. Returns the number in it; 0 if it is no number. */
static long read_frame(void) {
  unsigned char length[4];
  read_exactly((char *)length, 4);
  uint32_t size = length[0] | length[1] << 8 | length[2] << 16 | (uint32_t)length[3] << 24;
  char *text = malloc((size_t)size + 1);
  if (text == NULL) end("A frame is too long.");
  read_exactly(text, size);
  text[size] = '\0';
  fwrite(text, 1, size, stdout);
  putchar('\n');
  fflush(stdout);
  /* A list begins with a count. A refusal is one frame in its place, so look before you count. */
  long count = isdigit((unsigned char)text[0]) ? atol(text) : 0;
  free(text);
  return count;
}

static void connect_to(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  if (getaddrinfo(host, port, &hints, &found) != 0) end("There is no such host or port.");
  server = socket(found->ai_family, SOCK_STREAM, 0);
  if (connect(server, found->ai_addr, found->ai_addrlen) != 0) end("No server answers there.");
  int on = 1;
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  freeaddrinfo(found);
}

int main(int argc, char **argv) {
  connect_to(argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "31337");
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    line[strcspn(line, "\r\n")] = '\0'; /* getline and fgets keep the newline */
    char *command = malloc(strlen(line) + 3 * 4 + 1);
    if (command == NULL) end("There is no memory.");
    char *text = line, *to = command;
    /* "send" has two arguments, all others have one or none. */
    for (int words = strncmp(line, "send ", 5) == 0 ? 2 : 1; words > 0; words--) {
      char *blank = strchr(text, ' ');
      if (blank == NULL) break;
      *blank = '\0';
      to = add_frame(to, text);
      text = blank + 1;
    }
    to = add_frame(to, text);
    /* One call for the whole command: TCP delays small writes that follow each other. */
    write_all(command, to - command);
    free(command);
    long count = read_frame();
    if (strcmp(line, "users") == 0) while (count-- > 0) read_frame();
    if (strcmp(line, "receive") == 0 || strcmp(line, "wait") == 0) {
      for (count *= 2; count > 0; count--) read_frame();
    }
  }
  return 0;
}
