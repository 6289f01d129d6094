/* A relay on loopback that behaves like a long line: every byte arrives one half round trip after it was sent, in each
 * direction, with no limit of window, and of bandwidth only where a rate is set, and a new connection costs its
 * handshake. It counts bytes and turns, and cuts or freezes all connections on command.
 *
 *     delayrelay TARGET_PORT        first line on stdout: the port it listens on
 *
 * Commands on stdin, one per line, each answered by one line on stdout:
 *     rtt MICROSECONDS              of everything that is sent from now on
 *     rate BYTES_A_SECOND           of each direction, all connections together (0: no limit)
 *     counts                        connections open up_bytes down_bytes turns cuts
 *     clear                         sets the counts to 0
 *     cut fin|rst                   cuts every open connection now
 *     cutat up|down BYTES fin|rst   cuts them when so many bytes more went that way (0: forget it)
 *     freeze 0|1                    delivers nothing more, and keeps the connections open
 * End of stdin ends it.
 *
 * A turn is a client that sends after it was given something: one wait for the server. The handshake and the greeting,
 * one round trip each, come on top.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINES = 2048, PIECE = 256 * 1024, UP = 0, DOWN = 1 };
static const size_t DUE_LIMIT = 4u << 20;      /* due and not taken by the receiver: the sender must wait */
static const size_t FLIGHT_LIMIT = 768u << 20; /* on its way in all */
static const int64_t LINK_QUEUE = 20000000;    /* nanoseconds of traffic that wait before a link with a rate */

struct piece {
    struct piece *next;
    int64_t due;
    size_t size, sent;
    char bytes[];
};

struct way { /* one direction of one connection */
    int from, to;
    struct piece *first, *last;
    size_t queued;
    int64_t opens;   /* nothing sent before this moment leaves: the handshake */
    int64_t end_due; /* when the end of the stream arrives, -1: still open */
    int ended;       /* the end was read */
    int done;        /* the end was delivered */
};

struct line {
    int client, server; /* server -1: the handshake is still on its way */
    int64_t connects;
    int used, was_given; /* was_given: the client got something since it last sent */
    struct way way[2];
};

static struct line lines[MAX_LINES];
static int line_count, listener, target_port, frozen;
static int64_t half; /* one way, nanoseconds */
static uint64_t rate;        /* bytes a second, 0: no limit */
static int64_t link_free[2]; /* when the last byte that waits has left */
static uint64_t opened, turns, cuts, moved[2];
static uint64_t cut_at[2]; /* 0: never */
static int cut_rst;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void tune(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void forget(struct line *l, int rst) {
    struct linger hard = {1, 0};
    int fds[2] = {l->client, l->server};
    for (int i = 0; i < 2; i++) {
        if (fds[i] < 0) continue;
        if (rst) setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fds[i]);
    }
    for (int w = 0; w < 2; w++)
        while (l->way[w].first) {
            struct piece *p = l->way[w].first;
            l->way[w].first = p->next;
            free(p);
        }
    memset(l, 0, sizeof *l);
}

static void cut_all(int rst) {
    for (int i = 0; i < line_count; i++)
        if (lines[i].used) forget(&lines[i], rst);
    cut_at[UP] = cut_at[DOWN] = 0;
    cuts++;
}

static void open_line(int fd) {
    int i = 0;
    while (i < line_count && lines[i].used) i++;
    if (i == MAX_LINES) {
        close(fd);
        return;
    }
    if (i == line_count) line_count++;
    struct line *l = &lines[i];
    int64_t t = now();
    tune(fd);
    memset(l, 0, sizeof *l);
    l->used = 1;
    l->client = fd;
    l->server = -1;
    l->connects = t + 3 * half; /* SYN, SYN-ACK and ACK have passed */
    l->way[UP] = (struct way){.from = fd, .to = -1, .opens = t + 2 * half, .end_due = -1};
    l->way[DOWN] = (struct way){.from = -1, .to = fd, .opens = t + 3 * half, .end_due = -1};
    opened++;
}

static int reach_server(struct line *l) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target_port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    tune(fd);
    l->server = l->way[UP].to = l->way[DOWN].from = fd;
    return 0;
}

static size_t overdue(struct way *w, int64_t t) {
    size_t sum = 0;
    for (struct piece *p = w->first; p && p->due <= t && sum <= DUE_LIMIT; p = p->next) sum += p->size - p->sent;
    return sum;
}

static int is_full(int which, int64_t t) { return rate && link_free[which] >= t + LINK_QUEUE; }

/* Returns the moment at which the last of `size` bytes has left. */
static int64_t leaves(int which, size_t size, int64_t start) {
    if (!rate) return start;
    if (link_free[which] > start) start = link_free[which];
    return link_free[which] = start + (int64_t)(size * 1000000000ULL / rate);
}

static int takes(struct line *l, int which, int64_t t) {
    struct way *w = &l->way[which];
    return w->from >= 0 && !is_full(which, t) && !w->ended && w->queued < FLIGHT_LIMIT && overdue(w, t) < DUE_LIMIT;
}

/* Returns -1 when the connection broke. */
static int take(struct line *l, int which, int64_t t) {
    static char buffer[PIECE];
    struct way *w = &l->way[which];
    ssize_t n = recv(w->from, buffer, sizeof buffer, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    int64_t due = leaves(which, (size_t)n, t > w->opens ? t : w->opens) + half;
    if (n == 0) {
        w->ended = 1;
        w->end_due = due;
        return 0;
    }
    struct piece *p = malloc(sizeof *p + (size_t)n);
    if (!p) abort();
    *p = (struct piece){.due = due, .size = (size_t)n};
    memcpy(p->bytes, buffer, (size_t)n);
    if (w->first)
        w->last->next = p;
    else
        w->first = p;
    w->last = p;
    w->queued += (size_t)n;
    if (which == UP && l->was_given) {
        turns++;
        l->was_given = 0;
    }
    return 0;
}

static int give(struct line *l, int which, int64_t t) {
    struct way *w = &l->way[which];
    while (w->first && w->first->due <= t) {
        struct piece *p = w->first;
        size_t size = p->size - p->sent;
        if (cut_at[which] && size > cut_at[which] - moved[which]) size = (size_t)(cut_at[which] - moved[which]);
        ssize_t n = send(w->to, p->bytes + p->sent, size, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        p->sent += (size_t)n;
        w->queued -= (size_t)n;
        moved[which] += (uint64_t)n;
        if (which == DOWN) l->was_given = 1;
        if (cut_at[which] && moved[which] >= cut_at[which]) return 1;
        if (p->sent < p->size) return 0;
        w->first = p->next;
        free(p);
    }
    if (!w->first && w->ended && !w->done && w->end_due <= t) {
        shutdown(w->to, SHUT_WR);
        w->done = 1;
    }
    return 0;
}

/* Moves what is due. Returns 1 when everything was cut. */
static int serve(struct line *l, int64_t t) {
    if (l->server < 0) {
        if (l->connects > t) return 0;
        if (reach_server(l) < 0) {
            forget(l, 1);
            return 0;
        }
    }
    for (int which = UP; which <= DOWN; which++) {
        int verdict = give(l, which, t);
        if (verdict > 0) {
            cut_all(cut_rst);
            return 1;
        }
        if (verdict < 0) {
            forget(l, 1);
            return 0;
        }
    }
    if (l->way[UP].done && l->way[DOWN].done) forget(l, 0);
    return 0;
}

static void command(char *text) {
    char a[16] = "", b[16] = "";
    unsigned long long n = 0;
    int open_now = 0;
    for (int i = 0; i < line_count; i++) open_now += lines[i].used;
    if (sscanf(text, "rtt %llu", &n) == 1) {
        half = (int64_t)n * 500;
    } else if (sscanf(text, "rate %llu", &n) == 1) {
        rate = n;
    } else if (!strncmp(text, "counts", 6)) {
        printf("%llu %d %llu %llu %llu %llu\n", (unsigned long long)opened, open_now, (unsigned long long)moved[UP],
               (unsigned long long)moved[DOWN], (unsigned long long)turns, (unsigned long long)cuts);
        return;
    } else if (!strncmp(text, "clear", 5)) {
        for (int w = 0; w < 2; w++) {
            if (cut_at[w]) cut_at[w] -= moved[w];
            moved[w] = 0;
        }
        opened = turns = cuts = 0;
    } else if (sscanf(text, "cutat %15s %llu %15s", a, &n, b) == 3) {
        int which = strcmp(a, "down") ? UP : DOWN;
        cut_at[which] = n ? moved[which] + n : 0;
        cut_rst = !strcmp(b, "rst");
    } else if (sscanf(text, "cut %15s", a) == 1) {
        cut_all(!strcmp(a, "rst"));
    } else if (sscanf(text, "freeze %llu", &n) == 1) {
        frozen = (int)n;
    }
    printf("ok\n");
}

static void read_commands(void) {
    static char text[4096];
    static size_t have;
    ssize_t n = read(0, text + have, sizeof text - have - 1);
    if (n <= 0) exit(0);
    have += (size_t)n;
    text[have] = 0;
    char *start = text, *end;
    while ((end = strchr(start, '\n'))) {
        *end = 0;
        command(start);
        start = end + 1;
    }
    fflush(stdout);
    have -= (size_t)(start - text);
    memmove(text, start, have);
}

static int64_t sooner(int64_t a, int64_t b) { return b >= 0 && (a < 0 || b < a) ? b : a; }

static struct pollfd watched[2 + 2 * MAX_LINES];

/* Fills `watched` and returns the moment at which something becomes due, -1 for none. */
static int64_t watch(int64_t t, int *count) {
    int64_t wake = -1;
    *count = 2;
    watched[0] = (struct pollfd){.fd = 0, .events = POLLIN};
    watched[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int i = 0; i < line_count; i++) {
        struct line *l = &lines[i];
        struct pollfd *end[2] = {&watched[2 + 2 * i], &watched[3 + 2 * i]};
        *count = 4 + 2 * i;
        *end[0] = (struct pollfd){.fd = -1};
        *end[1] = (struct pollfd){.fd = -1};
        if (!l->used || frozen) continue;
        if (l->server < 0) wake = sooner(wake, l->connects);
        for (int which = UP; which <= DOWN; which++) {
            struct way *w = &l->way[which];
            if (is_full(which, t)) wake = sooner(wake, link_free[which] - LINK_QUEUE + 1);
            if (takes(l, which, t)) {
                end[which]->fd = w->from;
                end[which]->events |= POLLIN;
            }
            if (w->to < 0) continue;
            int64_t due = w->first ? w->first->due : w->ended && !w->done ? w->end_due : -1;
            if (due > t) wake = sooner(wake, due);
            if (due >= 0 && due <= t) {
                end[!which]->fd = w->to;
                end[!which]->events |= POLLOUT;
            }
        }
    }
    return wake;
}

static void round_of_events(void) {
    int count;
    int64_t t = now(), wake = watch(t, &count);
    int64_t rest = wake < 0 ? 0 : wake > t ? wake - t : 0;
    struct timespec patience = {rest / 1000000000LL, rest % 1000000000LL};
    if (ppoll(watched, (nfds_t)count, wake < 0 ? NULL : &patience, NULL) < 0 && errno != EINTR) exit(1);
    t = now();
    if (watched[0].revents) read_commands();
    int before = line_count;
    for (int i = 0; i < before && !frozen; i++) {
        struct line *l = &lines[i];
        for (int which = UP; which <= DOWN && l->used; which++)
            if (2 + 2 * i < count && watched[2 + 2 * i + which].revents && l->way[which].from >= 0 && takes(l, which, t) &&
                take(l, which, t) < 0)
                forget(l, 1);
        if (l->used && serve(l, t)) break;
    }
    if (watched[1].revents) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) open_line(fd);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    int one = 1;
    if (argc != 2) return 2;
    target_port = atoi(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1); /* the kernel may otherwise be 50 microseconds late */
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 1024) < 0) return 1;
    getsockname(listener, (struct sockaddr *)&a, &size);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    for (;;) round_of_events();
}
