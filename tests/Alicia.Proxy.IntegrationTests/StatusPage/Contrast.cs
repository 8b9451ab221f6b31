using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.IntegrationTests.StatusPage;

/// <summary>Whether what stands on the page can be read, by the colours that the browser has computed.</summary>
internal static partial class Contrast
{
    /// <summary>Of the page's ground, 0 (black) to 1 (white).</summary>
    public static async Task<double> LuminanceAsync(Visit visit)
    {
        var colour = await visit.Page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor");
        return Luminance([.. ColourPart().Matches(colour).Select(m => double.Parse(m.Value, CultureInfo.InvariantCulture))]);
    }

    /// <summary>Visible texts whose contrast to what is behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3).</summary>
    public static async Task<List<string>> FaintAsync(Visit visit)
    {
        var texts = await visit.Page.EvaluateAsync<JsonElement>("""
            [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim() !== "")).map(e => {
              let behind = e;
              while (behind.parentElement && /, 0\)$|transparent/.test(getComputedStyle(behind).backgroundColor))
                behind = behind.parentElement;
              return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, getComputedStyle(behind).backgroundColor];
            })
            """);
        var faint = new List<string>();
        texts.GetArrayLength().Should().BeGreaterThan(20);
        foreach (var text in texts.EnumerateArray())
        {
            double[] lights = [.. new[] { 1, 2 }.Select(i => Luminance([.. ColourPart().Matches(text[i].GetString()!).Select(m => double.Parse(m.Value, CultureInfo.InvariantCulture))]))];
            var contrast = (lights.Max() + 0.05) / (lights.Min() + 0.05);
            if (contrast < 4.5)
                faint.Add(string.Create(CultureInfo.InvariantCulture, $"{text} has {contrast:0.0}"));
        }

        return faint;
    }

    private static double Luminance(double[] rgb)
    {
        double[] linear = [.. rgb.Take(3).Select(c => c / 255).Select(c => c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4))];
        return (0.2126 * linear[0]) + (0.7152 * linear[1]) + (0.0722 * linear[2]);
    }

    [GeneratedRegex(@"[\d.]+")]
    private static partial Regex ColourPart();
}
