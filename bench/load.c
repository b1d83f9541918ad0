/*
** load.c - asks one URL of an HTTP server again and again, on kept connections
** usage: load PORT PATH CONNECTIONS SECONDS
** Prints requests a second, and the 99th percentile of what one took, in microseconds. An
** answer is taken to be one read: it is short.
*/
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define SAMPLES_MAX     4000000

static double began[CONNECTIONS_MAX];
static struct pollfd sockets[CONNECTIONS_MAX];
static float took[SAMPLES_MAX];
static size_t count;
static char request[1024];

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_connection(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
  return fd;
}

static void ask(int i) {
  size_t length = strlen(request);
  began[i] = seconds();
  if (write(sockets[i].fd, request, length) != (ssize_t)length) fail("write");
}

static void take(int i) {
  char answer[4096];
  if (read(sockets[i].fd, answer, sizeof answer) < 12 ||
      memcmp(answer + 9, "200", 3) != 0)
    fail("no answer");
  if (count < SAMPLES_MAX) took[count++] = (float)((seconds() - began[i]) * 1e6);
  ask(i);
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int main(int words, char **word) {
  int connections = words == 5 ? atoi(word[3]) : 0;
  if (connections < 1 || connections > CONNECTIONS_MAX) return 2;
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
           word[2]);
  for (int i = 0; i < connections; i++) {
    sockets[i] = (struct pollfd){.fd = open_connection(atoi(word[1])), .events = POLLIN};
    ask(i);
  }
  double start = seconds(), length = atof(word[4]);
  while (seconds() - start < length) {
    if (poll(sockets, (nfds_t)connections, 1000) < 0) fail("poll");
    for (int i = 0; i < connections; i++)
      if (sockets[i].revents) take(i);
  }
  double spent = seconds() - start;
  qsort(took, count, sizeof *took, by_size);
  printf("%.0f\n%.0f\n", (double)count / spent, (double)took[count * 99 / 100]);
  return 0;
}
