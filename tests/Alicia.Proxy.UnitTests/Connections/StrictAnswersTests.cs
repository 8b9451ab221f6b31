using System.Net;
using System.Net.Sockets;
using System.Text;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.UnitTests.Connections;

/// <summary>What is behind an answer never becomes the answer to the next request, also where nobody has looked at the connection in between.</summary>
public sealed class StrictAnswersTests : IDisposable
{
    private const string Request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    private const string Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private readonly Socket _instance;
    private readonly Socket _proxy = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly StrictAnswers _connection;

    public StrictAnswersTests()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _proxy.Connect(listener.LocalEndPoint!);
        _instance = listener.Accept();
        _connection = new StrictAnswers(new AnswerWatch(new NetworkStream(_proxy)));
    }

    public void Dispose()
    {
        _connection.Dispose();
        _proxy.Dispose();
        _instance.Dispose();
    }

    [Fact]
    public async Task Behind_bytes_that_nobody_has_asked_for_no_request_is_sent()
    {
        await WriteAsync(Request);
        Send(Answer + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        await ReadAsync(Answer.Length);

        await this.Invoking(_ => WriteAsync(Request)).Should().ThrowAsync<UnsentException>();
    }

    [Fact]
    public async Task Behind_an_answer_alone_the_next_request_is_sent()
    {
        await WriteAsync(Request);
        Send(Answer);
        await ReadAsync(Answer.Length);

        await WriteAsync(Request);
        Send(Answer);
        (await ReadAsync(Answer.Length)).Should().Be(Answer);
    }

    [Fact]
    public async Task The_rest_of_a_body_is_sent_also_when_the_answer_has_come_already()
    {
        await WriteAsync("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf");
        Send(Answer);
        await ReadAsync(10);

        await this.Invoking(_ => WriteAsync("rest")).Should().NotThrowAsync();
    }

    private void Send(string text)
    {
        _instance.Send(Encoding.ASCII.GetBytes(text)).Should().Be(text.Length);
        // All of it is in one piece.
        _proxy.Poll(TimeSpan.FromSeconds(20), SelectMode.SelectRead).Should().BeTrue();
    }

    private async Task WriteAsync(string text) => await _connection.WriteAsync(Encoding.ASCII.GetBytes(text));

    private async Task<string> ReadAsync(int count)
    {
        var buffer = new byte[count];
        await _connection.ReadExactlyAsync(buffer);
        return Encoding.ASCII.GetString(buffer);
    }
}
