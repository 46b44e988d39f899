#pragma once
// What runtime_bench measures, by Asio and libuv. Each gives nanoseconds an operation.

#include <cstddef>

double asio_await(std::size_t count);
double asio_yield(std::size_t count);
double asio_spawn(std::size_t count);
double asio_through_channel(std::size_t count, std::size_t capacity);
double asio_timer_cost(std::size_t pending, std::size_t count);
double uv_timer_cost(std::size_t pending, std::size_t count);
