// The pools of Facebook's memcached are from B. Atikoglu, Y. Xu, E. Frachtenberg, S. Jiang and
// M. Paleczny, "Workload analysis of a large-scale key-value store", SIGMETRICS 2012. The paper has
// a model of ETC, which is used as it stands. Of the other pools it has curves and names the sizes
// that stand out in them: what is more than that is marked below as a stand-in, of the right
// magnitude and no more.

#include "bench/sizes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numbers>
#include <optional>
#include <string_view>
#include <utility>

#include "bench/die.h"

namespace torc::bench {
namespace {

// Where a distribution that does not end is cut off.
constexpr double kFarthestShare = 1 - 0x1p-40;

Quantile GeneralizedExtremeValue(double location, double scale, double shape) {
  return [=](double share) {
    const double e = -std::log(std::max(share, 1e-12));
    if (shape == 0) return location - scale * std::log(e);
    return location + scale * (std::pow(e, -shape) - 1) / shape;
  };
}

Quantile GeneralizedPareto(double location, double scale, double shape) {
  return [=](double share) {
    const double log_rest = std::log1p(-share);
    if (shape == 0) return location - scale * log_rest;
    return location + scale * std::expm1(-shape * log_rest) / shape;
  };
}

// The normal distribution's quantile, by halving: it is used to fill a table, once.
double NormalQuantile(double share) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < share ? low : high) = middle;
  }
  return low;
}

Quantile Lognormal(double mean, double deviation) {
  const double variance_log = std::log1p(deviation * deviation / (mean * mean));
  const double mean_log = std::log(mean) - variance_log / 2;
  return [=](double share) {
    return std::exp(mean_log + std::sqrt(variance_log) * NormalQuantile(share));
  };
}

struct Weighted {
  double size;
  double weight;
};

// Sizes with their weights, in rising order of size, and `rest` for what their weights leave of 1.
Quantile Discrete(std::vector<Weighted> sizes, Quantile rest = nullptr) {
  return [sizes = std::move(sizes), rest = std::move(rest)](double share) {
    double below = 0;
    for (const Weighted& each : sizes) {
      below += each.weight;
      if (share < below) return each.size;
    }
    return rest ? rest((share - below) / (1 - below)) : sizes.back().size;
  };
}

// Values of 0 to 14 bytes have a probability each (together 0.44155); those from 15 bytes follow
// the Pareto distribution.
Quantile EtcValues() {
  static constexpr double kSmall[] = {0.00536, 0.00047, 0.17820, 0.09239, 0.00018,
                                      0.02740, 0.00065, 0.00606, 0.00023, 0.00837,
                                      0.00837, 0.08989, 0.00092, 0.00326, 0.01980};
  std::vector<Weighted> small;
  for (const double weight : kSmall) small.push_back({static_cast<double>(small.size()), weight});
  return Discrete(std::move(small), GeneralizedPareto(15, 214.476, 0.348238));
}

// The pools' sizes, or nothing for any other name.
Quantile PoolSizes(std::string_view name, Sizes::Role role) {
  const bool is_key = role == Sizes::Role::kKey;
  if (name == "etc") {
    return is_key ? GeneralizedExtremeValue(30.7984, 8.20449, 0.078688) : EtcValues();
  }
  // Keys of 16 and 21 bytes and no others, values of 2; how many keys are of which size
  // is a stand-in.
  if (name == "usr") {
    return is_key ? Discrete({{16, 0.5}, {21, 0.5}}) : Discrete({{2, 1}});
  }
  // Nine keys in ten have 31 bytes. The others, and the small values, are stand-ins.
  if (name == "var") {
    return is_key ? Discrete({{20, 0.05}, {31, 0.9}, {45, 0.05}}) : Lognormal(60, 60);
  }
  // Three values in ten have about 270 bytes. The others, and the keys, are stand-ins.
  if (name == "app") {
    return is_key ? Lognormal(33, 6) : Discrete({{270, 0.3}}, Lognormal(320, 400));
  }
  // Stand-ins: seven values in ten of about 500 bytes, the others of thousands.
  if (name == "sys") {
    return is_key ? Lognormal(30, 7) : Discrete({{500, 0.7}}, Lognormal(5000, 3000));
  }
  return nullptr;
}

Quantile ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::vector<Weighted> sizes;
  double total = 0;
  Weighted next{};
  while (file >> next.size >> next.weight) {
    if (!(next.size >= 0) || !(next.weight >= 0)) Die(path + ": a size or weight below 0");
    sizes.push_back(next);
    total += next.weight;
  }
  if (!file.eof() || !(total > 0)) Die(path + ": no lines of a size and its weight");
  for (Weighted& each : sizes) each.weight /= total;
  std::sort(sizes.begin(), sizes.end(),
            [](const Weighted& a, const Weighted& b) { return a.size < b.size; });
  return Discrete(std::move(sizes));
}

// The numbers of a list with commas, or nothing.
std::optional<std::vector<double>> ParseList(std::string_view text) {
  std::vector<double> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    double number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return std::nullopt;
    numbers.push_back(number);
    if (next == end) return numbers;
    if (*next != ',') return std::nullopt;
    at = next + 1;
  }
}

// The distribution that `text` describes, or nothing.
Quantile ParseDistribution(std::string_view text, Sizes::Role role) {
  if (Quantile pool = PoolSizes(text, role)) return pool;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return nullptr;
  const std::string_view kind = text.substr(0, colon);
  const std::string_view details = text.substr(colon + 1);
  if (kind == "file") return ReadFile(std::string(details));
  const auto numbers = ParseList(details);
  if (!numbers) return nullptr;
  const std::vector<double>& n = *numbers;
  if (kind == "lognormal" && n.size() == 2 && n[0] > 0 && n[1] >= 0) return Lognormal(n[0], n[1]);
  if (n.size() != 3 || !(n[1] > 0)) return nullptr;
  if (kind == "gev") return GeneralizedExtremeValue(n[0], n[1], n[2]);
  if (kind == "pareto") return GeneralizedPareto(n[0], n[1], n[2]);
  return nullptr;
}

// N or MIN-MAX, or nothing.
std::optional<Sizes::Limits> ParseRange(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<size_t> {
    size_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const size_t dash = text.find('-');
  const auto min = number(text.substr(0, dash));
  const auto max = dash == std::string_view::npos ? min : number(text.substr(dash + 1));
  if (!min || !max || *min > *max) return std::nullopt;
  return Sizes::Limits{*min, *max};
}

}  // namespace

Sizes::Sizes(const std::string& text, Role role, Limits limits)
    : min_(limits.min), max_(limits.max) {
  const std::string name = role == Role::kKey ? "keys" : "values";
  if (const std::optional<Limits> range = ParseRange(text)) {
    if (range->min < limits.min || range->max > limits.max) {
      Die("the size of the " + name + " must be between " + std::to_string(limits.min) + " and " +
          std::to_string(limits.max) + " bytes");
    }
    min_ = range->min;
    max_ = range->max;
    span_ = max_ - min_ + 1;
    return;
  }
  quantile_ = ParseDistribution(text, role);
  if (!quantile_) Die("'" + text + "' is no size of " + name + "; see --help");
  for (size_t cell = 0; cell < kCells; ++cell) {
    cells_.push_back(static_cast<uint32_t>(
        Cut(quantile_((static_cast<double>(cell) + 0.5) / static_cast<double>(kCells)))));
  }
  const size_t farthest = Cut(quantile_(kFarthestShare));
  const auto [smallest, largest] = std::minmax_element(cells_.begin(), cells_.end());
  min_ = std::min<size_t>(*smallest, farthest);
  max_ = std::max<size_t>(*largest, farthest);
}

bool Sizes::IsRange(const std::string& text) { return ParseRange(text).has_value(); }

size_t Sizes::FarthestOf(uint64_t hash) const {
  const double within = static_cast<double>(hash << kCellBits) * 0x1p-64;
  const double share = (static_cast<double>(kCells - 1) + within) / static_cast<double>(kCells);
  return Cut(quantile_(std::min(share, kFarthestShare)));
}

size_t Sizes::Cut(double size) const {
  return static_cast<size_t>(
      std::clamp(std::floor(size), static_cast<double>(min_), static_cast<double>(max_)));
}

}  // namespace torc::bench
