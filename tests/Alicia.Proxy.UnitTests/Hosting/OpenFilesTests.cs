using Alicia.Proxy.Hosting;

namespace Alicia.Proxy.UnitTests.Hosting;

public sealed class OpenFilesTests
{
    [Theory]
    [InlineData(1024L, 384L)]
    [InlineData(1_048_576L, 524_160L)]
    [InlineData(100L, 64L)]
    [InlineData(null, null)]
    public void Callers_get_half_of_what_the_proxy_does_not_need(long? files, long? callers) => OpenFiles.ConnectionsFor(files).Should().Be(callers);
}
