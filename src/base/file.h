// Files: reading at offsets, and writing that leaves either the whole file or none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace cleave {

// Bytes that can be read at any offset, from several threads at once.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // Fills `into` from `offset` on. Error(kInvalid) where the source ends before; a file that
  // shrank since it was opened is such an error, never a signal: files are read with pread, not
  // mapped (docs/adr/0001-read-not-map.md).
  virtual void read(uint64_t offset, std::span<std::byte> into) const = 0;
  // How messages name it.
  virtual const std::string& name() const = 0;
};

// Error(kInvalid) with a hint where the file does not exist, is a folder or cannot be read.
std::shared_ptr<const ByteSource> open_file(const std::filesystem::path& path);
std::shared_ptr<const ByteSource> memory_source(std::string name, std::string bytes);
std::string read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 40);

// Writes to a temporary file beside `path`; `commit` renames it into place. Destroyed without a
// commit, it removes the temporary file and leaves what was at `path` before. Every failure
// (no such folder, not writable, disk full) is Error(kInvalid) that names the path.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter();
  void append(std::span<const std::byte> bytes);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  uint64_t end_ = 0;
};

}  // namespace cleave
