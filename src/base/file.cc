#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "cleave/error.h"

namespace cleave {
namespace {

std::string reason(int error) { return std::strerror(error); }

class FileSource final : public ByteSource {
 public:
  FileSource(std::string name, int descriptor, uint64_t size)
      : name_(std::move(name)), descriptor_(descriptor), size_(size) {}
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  ~FileSource() override { ::close(descriptor_); }

  uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }

  void read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size_ || into.size() > size_ - offset) fail_short();
    size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = ::pread(descriptor_, into.data() + done, into.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        throw Error(ErrorCode::kInvalid, "cannot read " + name_ + ": " + reason(errno));
      }
      if (n == 0) fail_short();
      done += static_cast<size_t>(n);
    }
  }

 private:
  [[noreturn]] void fail_short() const {
    throw Error(ErrorCode::kInvalid, name_ + " ends too early",
                "the file is cut short or still being written; copy or create it again");
  }

  std::string name_;
  int descriptor_;
  uint64_t size_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  const std::string& name() const override { return name_; }
  void read(uint64_t offset, std::span<std::byte> into) const override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      throw Error(ErrorCode::kInvalid, name_ + " ends too early");
    }
    if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
  }

 private:
  std::string name_;
  std::string bytes_;
};

}  // namespace

std::shared_ptr<const ByteSource> open_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    throw Error(ErrorCode::kInvalid, "cannot open " + path.string() + ": " + reason(errno),
                errno == ENOENT ? "check the path" : "check that the file can be read");
  }
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    throw Error(ErrorCode::kInvalid, path.string() + " is not a regular file", "give a file");
  }
  return std::make_shared<FileSource>(path.string(), descriptor,
                                      static_cast<uint64_t>(info.st_size));
}

std::shared_ptr<const ByteSource> memory_source(std::string name, std::string bytes) {
  return std::make_shared<MemorySource>(std::move(name), std::move(bytes));
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  const auto source = open_file(path);
  if (source->size() > limit) {
    throw Error(ErrorCode::kInvalid, path.string() + " is larger than " + std::to_string(limit) +
                                         " bytes, more than such a file may have");
  }
  std::string bytes(source->size(), '\0');
  source->read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

FileWriter::FileWriter(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".tmp." + std::to_string(::getpid())) {
  // A rename would put a file in the place of a device such as /dev/null.
  struct stat info = {};
  if (::stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::kInvalid, "cannot write " + path_.string() + ": not a regular file",
                "choose another name");
  }
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw Error(ErrorCode::kInvalid, "cannot write " + path_.string() + ": " + reason(errno),
                "check that the folder exists and can be written");
  }
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void FileWriter::append(std::span<const std::byte> bytes) { write_at(end_, bytes); }

void FileWriter::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                               static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : ENOSPC;
      throw Error(ErrorCode::kInvalid, "cannot write " + path_.string() + ": " + reason(error),
                  error == ENOSPC ? "free some space or write to another disk; nothing was left "
                                    "behind"
                                  : "nothing was left behind");
    }
    done += static_cast<size_t>(n);
  }
  end_ = std::max<uint64_t>(end_, offset + bytes.size());
}

void FileWriter::commit() {
  const int descriptor = std::exchange(descriptor_, -1);
  const bool synced = ::fsync(descriptor) == 0;
  const int sync_error = errno;
  const bool closed = ::close(descriptor) == 0;
  if (!synced || !closed || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = synced ? errno : sync_error;
    ::unlink(temporary_.c_str());
    throw Error(ErrorCode::kInvalid, "cannot write " + path_.string() + ": " + reason(error),
                "nothing was left behind");
  }
}

}  // namespace cleave
