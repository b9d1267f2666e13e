/* A program that does something real: parses a JSON document over and over.
 *
 * Prints `ready`, and for each line `run MILLISECONDS` on its input `done DOCUMENTS NS VALUES`:
 * documents parsed, the median of the CPU time that one took, and the values in one. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMBERS 200
#define MAX_DOCUMENTS 1000000

struct totals {
    long values;
    double numbers;
    long text;
};

static const char *parse_value(const char *at, int depth, struct totals *totals);

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

static const char *parse_text(const char *at, struct totals *totals)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\0') {
            return NULL;
        }
        at += *at == '\\';
        totals->text++;
    }
    return at + 1;
}

static const char *parse_list(const char *at, char end, int depth, struct totals *totals)
{
    for (at = skip_space(at + 1); *at != end; at = skip_space(at)) {
        if (end == '}') {
            at = parse_text(at, totals);
            if (at == NULL || *(at = skip_space(at)) != ':') {
                return NULL;
            }
            at++;
        }
        at = parse_value(at, depth + 1, totals);
        if (at == NULL) {
            return NULL;
        }
        at = skip_space(at);
        if (*at == ',') {
            at = skip_space(at + 1);
        } else if (*at != end) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *parse_number(const char *at, struct totals *totals)
{
    char *end;
    totals->numbers += strtod(at, &end);
    return end == at ? NULL : end;
}

__attribute__((noinline)) static const char *parse_value(const char *at, int depth,
                                                         struct totals *totals)
{
    at = skip_space(at);
    totals->values++; /* PROBE parse_value */
    switch (*at) {
    case '{':
        return parse_list(at, '}', depth, totals);
    case '[':
        return parse_list(at, ']', depth, totals);
    case '"':
        return parse_text(at, totals);
    case 't':
    case 'n':
        return at + 4;
    case 'f':
        return at + 5;
    default:
        return parse_number(at, totals);
    }
}

__attribute__((noinline)) static int parse_document(const char *text, struct totals *totals)
{
    const char *end;
    totals->values = 0; /* PROBE parse_document */
    end = parse_value(text, 0, totals);
    return end == NULL || *skip_space(end) != '\0';
}

static char *document(void)
{
    static char text[MEMBERS * 128 + 3];
    char *at = text;
    *at++ = '[';
    for (int i = 0; i < MEMBERS; i++) {
        at += sprintf(at, "%s{\"id\": %d, \"name\": \"member %d\", \"tags\": [\"a\", \"b\"], \"on\": true, "
                          "\"weight\": %d.25}",
                      i > 0 ? ",\n " : "", i, i, i * 7);
    }
    strcpy(at, "]");
    return text;
}

/* Of this thread alone: a document takes long enough for others to come between. */
static long long cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int by_value(const void *left, const void *right)
{
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

int main(void)
{
    static long long took[MAX_DOCUMENTS];
    const char *text = document();
    long milliseconds;
    puts("ready");
    fflush(stdout);
    while (scanf(" run %ld", &milliseconds) == 1) {
        struct totals totals = {0, 0, 0};
        long documents = 0;
        long long end = cpu_time() + milliseconds * 1000000LL;
        for (long long from = cpu_time(); from < end && documents < MAX_DOCUMENTS; documents++) {
            totals = (struct totals){0, 0, 0};
            if (parse_document(text, &totals) != 0) {
                return 1;
            }
            long long until = cpu_time();
            took[documents] = until - from;
            from = until;
        }
        qsort(took, (size_t)documents, sizeof *took, by_value);
        printf("done %ld %lld %ld\n", documents, documents > 0 ? took[documents / 2] : 0,
               totals.values);
        fflush(stdout);
    }
    return 0;
}
