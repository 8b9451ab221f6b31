using Alicia.Proxy.Connections;

namespace Alicia.Proxy.UnitTests.Connections;

public sealed class FirstLookUpTests
{
    private readonly UpstreamEndpoint _endpoint = new(1, "a", "http", "tts.example", 80);

    [Fact]
    public async Task All_who_wait_for_a_name_share_one_look_up()
    {
        var answer = new TaskCompletionSource();
        var starts = 0;
        Task Start()
        {
            Interlocked.Increment(ref starts);
            return answer.Task;
        }

        var waiting = Enumerable.Range(0, 50).Select(_ => _endpoint.FirstLookUp(Start, _ => false)).ToArray();
        answer.SetResult();
        await Task.WhenAll(waiting);

        starts.Should().Be(1);
    }

    [Fact]
    public async Task A_failure_answers_for_as_long_as_it_counts_and_then_it_is_tried_again()
    {
        var starts = 0;
        Task Fail()
        {
            starts++;
            return Task.FromException(new InvalidOperationException("no"));
        }

        var counts = true;
        var ask = async () => await _endpoint.FirstLookUp(Fail, _ => counts);
        await ask.Should().ThrowAsync<InvalidOperationException>();
        await ask.Should().ThrowAsync<InvalidOperationException>();
        starts.Should().Be(1);

        counts = false;
        await ask.Should().ThrowAsync<InvalidOperationException>();
        starts.Should().Be(2);
    }
}
